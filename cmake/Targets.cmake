# How libraries, programs and tests are declared here.
#
# fanfare_library(NAME sources… [DEPS targets…] [ONE_BY_ONE])
#                                                     a static library of one folder; ONE_BY_ONE: of
#                                                     which programs take single sources, and what
#                                                     these need and no more
# fanfare_program(NAME sources… [DEPS targets…])      a program in build/…/bin
# fanfare_test(NAME sources… [DEPS targets…] [LABELS labels…] [TIMEOUT seconds])
#                                                     one test program, one ctest test per TEST();
#                                                     under sanitizers, whose programs take longer to
#                                                     start than most tests to run, one for the whole
#                                                     program, unless it has labels
#
# Most of a build's time is reading the same headers. Libraries share one precompiled header, and
# sources are compiled several at a time: what their unnamed namespaces hold needs different names
# within one library or program.

# Empty; the libraries use its precompiled header.
file(WRITE ${CMAKE_BINARY_DIR}/headers.cc "")
add_library(fanfare_headers OBJECT ${CMAKE_BINARY_DIR}/headers.cc)
set_target_properties(fanfare_headers PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(fanfare_headers PRIVATE spdlog::spdlog)
target_precompile_headers(fanfare_headers PRIVATE
  <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <optional> <span> <string>
  <string_view> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

# And of what most tests include. Tests themselves are compiled without optimising, in half the time; what
# they test is not.
if(FANFARE_TESTS)
  add_library(fanfare_test_headers OBJECT ${CMAKE_BINARY_DIR}/headers.cc)
  target_link_libraries(fanfare_test_headers PRIVATE GTest::gmock nlohmann_json::nlohmann_json)
  target_compile_options(fanfare_test_headers PRIVATE -O0)
  target_precompile_headers(fanfare_test_headers PRIVATE
    <algorithm> <chrono> <cstdint> <filesystem> <fstream> <functional> <map> <memory> <optional> <random> <sstream>
    <string> <string_view> <thread> <unordered_map> <utility> <vector> <gmock/gmock.h> <gtest/gtest.h>
    <nlohmann/json.hpp>)
endif()

# Compiled FANFARE_TOGETHER sources at a time, unless FANFARE_EACH_SOURCE.
function(fanfare_compile_together)
  if(FANFARE_EACH_SOURCE)
    return()
  endif()
  set_target_properties(${ARGN} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${FANFARE_TOGETHER})
  # GCC takes what is compiled together for headers, which should have no unnamed namespaces, and
  # warns of locals that are named like a type of another source. Clang, of the sanitizer builds, warns
  # of what does hide something.
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE
      $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage> $<$<CXX_COMPILER_ID:GNU>:-Wno-shadow>)
  endforeach()
endfunction()

function(fanfare_library name)
  cmake_parse_arguments(arg "ONE_BY_ONE" "" "DEPS" ${ARGN})
  add_library(${name} STATIC ${arg_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${arg_DEPS})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_precompile_headers(${name} REUSE_FROM fanfare_headers)
  if(NOT arg_ONE_BY_ONE)
    fanfare_compile_together(${name})
  endif()
endfunction()

function(fanfare_program name)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
endfunction()

function(fanfare_test name)
  if(NOT FANFARE_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "DEPS;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  fanfare_compile_together(${name})
  target_precompile_headers(${name} REUSE_FROM fanfare_test_headers)
  target_compile_options(${name} PRIVATE -O0)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE
    FANFARE_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}" FANFARE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gmock GTest::gtest_main)
  # Where no earlier run has told how long each takes, ctest begins with what costs most: so nothing
  # that computes for long runs alone at the end.
  set(cost 0)
  if("simulation" IN_LIST arg_LABELS)
    set(cost 300)
  endif()
  if(FANFARE_SANITIZE AND NOT arg_LABELS)
    math(EXPR arg_TIMEOUT "10 * ${arg_TIMEOUT}")
    # Like gtest_discover_tests: what a preset does not build has a test with that in its name.
    set(tests ${CMAKE_CURRENT_BINARY_DIR}/${name}_whole.cmake)
    file(GENERATE OUTPUT ${tests} CONTENT "if(EXISTS \"$<TARGET_FILE:${name}>\")
  add_test(${name} \"$<TARGET_FILE:${name}>\")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} COST 100)
else()
  add_test(${name}_NOT_BUILT ${name}_NOT_BUILT)
endif()
")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${tests})
    return()
  endif()
  if(FANFARE_SANITIZE)
    math(EXPR arg_TIMEOUT "4 * ${arg_TIMEOUT}")
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT ${arg_TIMEOUT} COST ${cost} LABELS "${arg_LABELS}")
endfunction()

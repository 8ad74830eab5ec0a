# Everything comes from Debian packages; ops/setup names them.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(cppzmq CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(nlohmann_json 3.11 CONFIG REQUIRED)
find_package(simdjson CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(PNG REQUIRED)
find_package(date CONFIG REQUIRED)
# The packaged Hiredis CMake file breaks without a version and exports no target; pkg-config works.
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis>=0.14)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(turbojpeg REQUIRED IMPORTED_TARGET libturbojpeg)

# No reliable CMake package: find_package(msgpack) may find the C library of another package.
find_path(MSGPACK_CXX_INCLUDE msgpack.hpp REQUIRED)
add_library(fanfare_msgpack INTERFACE)
target_include_directories(fanfare_msgpack SYSTEM INTERFACE ${MSGPACK_CXX_INCLUDE})
target_compile_definitions(fanfare_msgpack INTERFACE MSGPACK_NO_BOOST)

# Asio from Boost 1.74 wants <utility> before any of its headers under C++20.
find_path(BOOST_ASIO_INCLUDE boost/asio.hpp REQUIRED)
add_library(fanfare_asio INTERFACE)
target_include_directories(fanfare_asio SYSTEM INTERFACE ${BOOST_ASIO_INCLUDE})
target_compile_definitions(fanfare_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ERROR_CODE_HEADER_ONLY)
target_link_libraries(fanfare_asio INTERFACE Threads::Threads)

if(FANFARE_TESTS)
  find_package(GTest CONFIG QUIET)
  if(NOT GTest_FOUND AND FANFARE_TESTS STREQUAL "AUTO")
    message(STATUS "Tests are not built: GTest is missing (ops/setup installs it)")
    set(FANFARE_TESTS OFF)
  elseif(NOT GTest_FOUND)
    message(FATAL_ERROR "The tests need GTest, which is missing: ops/setup installs it; "
      "-DFANFARE_TESTS=OFF builds without tests")
  endif()
  find_package(rapidcheck CONFIG QUIET)
endif()

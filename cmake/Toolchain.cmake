# How everything here is compiled: warnings are errors, ccache and mold when they are there.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# A sanitizer build has to be quick to make: its presets say -O1.
if(NOT FANFARE_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # What ccache needs to know of precompiled headers, by its manual.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror)
# Members left out of a designated initialiser have their defaults; that is the point of them.
add_compile_options(-Wno-missing-field-initializers)
# Clang warns of what libstdc++'s own stable_sort and stable_partition call; GCC watches ours.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options(-Wno-deprecated-declarations)
endif()
# _FILE_OFFSET_BITS: some libraries ask for it, and a precompiled header wants it everywhere or nowhere.
add_compile_definitions(_GLIBCXX_ASSERTIONS _GNU_SOURCE _FILE_OFFSET_BITS=64)

if(FANFARE_SANITIZE)
  add_compile_definitions(FANFARE_SANITIZED)  # for the few tests that have to know
  add_compile_options(-fsanitize=${FANFARE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FANFARE_SANITIZE})
  # GCC 12 sees uninitialised reads that are none once the sanitizers have rewritten the code.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()

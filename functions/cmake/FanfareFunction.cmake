# fanfare_add_function(NAME sources… [MANIFEST file] [OUTPUT folder])
#
# Builds the function NAME: a shared object NAME.so and its manifest, side by side in
# <binary dir>/functions/NAME, which is what `fanfare functions deploy` takes. The manifest is
# function.toml in the folder of the CMakeLists.txt that calls this, unless MANIFEST names another.
# OUTPUT puts the result elsewhere. More libraries: target_link_libraries(NAME PRIVATE …).

function(fanfare_add_function name)
  cmake_parse_arguments(arg "" "MANIFEST;OUTPUT" "" ${ARGN})
  if(NOT name MATCHES "^[a-zA-Z0-9_-]+$")
    message(FATAL_ERROR "fanfare_add_function: a function's name is made of a-z A-Z 0-9 - _, not '${name}'")
  endif()
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "fanfare_add_function(${name}): no source files")
  endif()
  if(NOT arg_MANIFEST)
    set(arg_MANIFEST function.toml)
  endif()
  get_filename_component(manifest ${arg_MANIFEST} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  if(NOT EXISTS ${manifest})
    message(FATAL_ERROR "fanfare_add_function(${name}): no manifest at ${manifest} (an empty file means all defaults)")
  endif()
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT ${CMAKE_BINARY_DIR}/functions/${name})
  endif()

  add_library(${name} MODULE ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE fanfare::function)
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name}
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT})
  configure_file(${manifest} ${arg_OUTPUT}/function.toml COPYONLY)
endfunction()

# The instance side of a worker: zygotes, instances, and how a worker talks to them. Nothing here
# uses ZeroMQ, Redis, threads or a logging library: it runs beside foreign code.

fanfare_library(fanfare_instance
  abi_event.cc asked.cc board.cc channel.cc ending.cc huge_pages.cc instance_batch.cc instance_handle.cc instance_runtime.cc item_result.cc
  instance_invoke.cc instance_store.cc invoke_channel.cc log_buffer.cc
  loaded_function.cc memory_limiter.cc sandbox.cc zygote.cc zygote_client.cc zygote_wire.cc
  own_mappings.cc own_store.cc row_channel.cc working_set.cc
  DEPS fanfare_base fanfare_protocol fanfare_function ONE_BY_ONE)

fanfare_program(fanfare-instance instance_main.cc DEPS fanfare_instance)
# The libraries that other parts of fanfare_base need stay out of every instance's address space.
# Symbols are bound at once, in the zygote: bound lazily, each instance would do it again.
target_link_options(fanfare-instance PRIVATE -Wl,--as-needed -Wl,-z,now)
target_link_libraries(fanfare-instance PRIVATE ${CMAKE_DL_LIBS})
install(TARGETS fanfare-instance RUNTIME DESTINATION bin)

fanfare_test(instance_unit_test asked_test.cc board_test.cc channel_test.cc ending_test.cc log_buffer_test.cc
  instance_handle_test.cc item_result_test.cc memory_limiter_test.cc working_set_test.cc zygote_wire_test.cc DEPS fanfare_instance)
if(FANFARE_TESTS)
  fanfare_test(instance_test instance_invoke_test.cc instance_publish_test.cc instance_rows_test.cc instance_test.cc
    DEPS fanfare_function_runner nlohmann_json::nlohmann_json LABELS integration)
  add_dependencies(instance_test fanfare_testing_functions)
endif()

if(FANFARE_TESTS)
  fanfare_program(instance_bench instance_bench.cc DEPS fanfare_function_runner)
  target_compile_definitions(instance_bench PRIVATE FANFARE_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(instance_bench PROPERTIES EXCLUDE_FROM_ALL ON)
  add_dependencies(instance_bench noop heavy)
endif()

// As if built with the first header, whose Context ended with progress().

#include <fanfare/function.h>

FANFARE_EXPORT const std::uint32_t fanfare_abi_version;
const std::uint32_t fanfare_abi_version = fanfare::abi::kOldestStamp;
FANFARE_EXPORT void fanfare_function_handle(const fanfare::abi::Event*,
                                            const fanfare::abi::Context* context,
                                            const fanfare::abi::Answer* answer) {
  answer->output(answer->host, {}, context->function);
}

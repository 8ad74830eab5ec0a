// As if built with the header of another time.

#include <fanfare/function.h>

FANFARE_EXPORT const std::uint32_t fanfare_abi_version;
const std::uint32_t fanfare_abi_version = 99 << 16 | 7;
FANFARE_EXPORT void fanfare_function_handle(const fanfare::abi::Event*,
                                            const fanfare::abi::Context*,
                                            const fanfare::abi::Answer*) {}

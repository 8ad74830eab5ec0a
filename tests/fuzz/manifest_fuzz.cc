// Manifests as people write them.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "protocol/ids.h"
#include "protocol/manifest.h"
#include "tests/fuzz/expect.h"

using namespace fanfare::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view toml{reinterpret_cast<const char*>(data), size};
  const auto manifest = parse_manifest(toml, "function.toml", "fuzzed");
  if (!manifest) {
    FUZZ_EXPECT(manifest.error().message.starts_with("function.toml:"));
    return 0;
  }
  FUZZ_EXPECT(is_function_name(manifest->name));
  FUZZ_EXPECT(!manifest->handler.empty() && manifest->handler.front() != '/');
  FUZZ_EXPECT(manifest->batch_size >= 1 && manifest->batch_size <= 256);
  FUZZ_EXPECT(manifest->retry.max_attempts >= 1 && manifest->retry.cap >= manifest->retry.base);
  for (const std::string& pattern : manifest->patterns) {
    FUZZ_EXPECT(nlohmann::json::accept(pattern));
  }
  for (const DescribedSetting& setting : describe(*manifest)) {
    FUZZ_EXPECT(!setting.key.empty() && !setting.value.empty() && !setting.origin.empty());
  }
  return 0;
}

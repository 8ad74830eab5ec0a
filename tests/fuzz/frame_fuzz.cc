// Frames as a peer may send them: decoded, viewed, and written again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/deliver_view.h"
#include "protocol/messages.h"
#include "tests/fuzz/expect.h"

using namespace fanfare::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view frame{reinterpret_cast<const char*>(data), size};
  const auto message = decode(frame);
  const auto publish = view_publish(frame);
  const auto deliver = view_deliver(frame);
  if (!message) {
    FUZZ_EXPECT(!publish && !deliver);
    FUZZ_EXPECT(!message.error().message.empty());
    FUZZ_EXPECT(decode(encode(refusal_of(frame, message.error()))));
    return 0;
  }
  const std::string written = encode(*message);
  const auto again = decode(written);
  FUZZ_EXPECT(again && *again == *message);
  FUZZ_EXPECT(encode(*again) == written);

  FUZZ_EXPECT(publish.has_value() == std::holds_alternative<Publish>(*message));
  FUZZ_EXPECT(deliver.has_value() == std::holds_alternative<Deliver>(*message));
  if (!deliver) return 0;
  DeliverWriter writer{deliver->function};
  for (const DeliveryView& delivery : deliver->deliveries) writer.add(delivery);
  const auto rewritten = decode(writer.take());
  FUZZ_EXPECT(rewritten && *rewritten == *message);
  return 0;
}

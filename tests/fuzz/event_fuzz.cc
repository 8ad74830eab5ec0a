// Packed events, results and ledgers, and CloudEvents JSON, from whoever may have written them.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "protocol/event.h"
#include "protocol/record.h"
#include "tests/fuzz/expect.h"

using namespace fanfare::protocol;

namespace {

void read_event(std::string_view bytes) {
  const auto view = view_event(bytes);
  const auto event = unpack_event(bytes);
  if (!view) {
    FUZZ_EXPECT(!event);
    return;
  }
  FUZZ_EXPECT(nlohmann::json::accept(to_pattern_json(*view)));
  FUZZ_EXPECT(event.has_value() == unpack_options(view->packed_options).has_value());
  if (!event) return;
  const auto again = unpack_event(pack(*event));
  FUZZ_EXPECT(again && *again == *event);
  FUZZ_EXPECT(nlohmann::json::accept(to_cloudevents_json(*event)));
}

void read_result(std::string_view bytes) {
  if (const auto rows = unpack_ledger(bytes)) {
    std::string ledger;
    for (const AttemptRow& row : *rows) append_row(ledger, row);
    const auto again = unpack_ledger(ledger);
    FUZZ_EXPECT(again && *again == *rows);
  }
  if (const auto record = unpack_result(bytes)) {
    const auto again = unpack_result(pack(*record));
    FUZZ_EXPECT(again && *again == *record);
    FUZZ_EXPECT(nlohmann::json::accept(to_json(*record, EventId{}, "fuzzed")));
  }
}

void read_json(std::string_view bytes) {
  const auto event = from_cloudevents_json(bytes);
  if (!event) return;
  const auto again = from_cloudevents_json(to_cloudevents_json(*event));
  FUZZ_EXPECT(again && again->type == event->type && again->data == event->data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  read_event(bytes);
  read_result(bytes);
  read_json(bytes);
  return 0;
}

#include "protocol/tracepoint.h"

#include <memory>

#include "base/trace_file.h"

namespace fanfare::protocol {

Result<Tracepoint> trace_to(const std::string& folder, const std::string& program) {
  if (folder.empty()) return Tracepoint{};
  auto created = TraceFile::create(folder, program);
  if (!created) return created.error();
  return Tracepoint([file = std::shared_ptr<TraceFile>(*std::move(created))](
                        Hop hop, const EntryId& entry, std::optional<TimePoint> at) {
    const TimePoint instant = at ? *at : TimePoint::clock::now();
    file->note({.high = entry.ms,
                .low = entry.seq,
                .point = static_cast<std::uint32_t>(hop),
                .at_ns = instant.time_since_epoch().count()});
  });
}

}  // namespace fanfare::protocol

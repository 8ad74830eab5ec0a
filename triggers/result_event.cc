#include "triggers/result_event.h"

#include <fmt/format.h>

#include "base/time.h"

namespace fanfare::triggers {

protocol::Event result_event(const protocol::ResultRecord& record, const protocol::EventId& id,
                             std::string_view function) {
  protocol::Event event;
  event.type =
      record.status == protocol::Status::kSucceeded ? "function.succeeded" : "function.failed";
  event.source = fmt::format("/functions/{}", function);
  event.subject = protocol::to_string(id);
  event.id = fmt::format("{}/{}", event.subject, record.ended_ms);
  event.time = format_wall_time(wall_from_ms(record.ended_ms));
  event.content_type = "application/json";
  event.data = protocol::to_json(record, id, function);
  return event;
}

}  // namespace fanfare::triggers

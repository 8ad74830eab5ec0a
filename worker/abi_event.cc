#include "worker/abi_event.h"

namespace fanfare::worker {
namespace {

abi::Text as_text(std::string_view view) {
  return {view.data(), view.size()};
}

}  // namespace

AbiEvent::AbiEvent(const protocol::EventId& id, std::string_view packed)
    : id_(protocol::to_string(id)) {
  const auto event = protocol::view_event(packed);
  if (!event) {
    problem_ = event.error().message;
    return;
  }
  if (!event->packed_extensions.empty()) {
    if (auto unpacked = protocol::unpack_event(packed)) owner_ = std::move(*unpacked);
    for (const auto& [name, value] : owner_.extensions) {
      extensions_.push_back({as_text(name), as_text(value)});
    }
  }
  event_ = {.id = as_text(id_),
            .ce_id = as_text(event->id),
            .source = as_text(event->source),
            .type = as_text(event->type),
            .subject = as_text(event->subject),
            .time = as_text(event->time),
            .content_type = as_text(event->content_type),
            .data_schema = as_text(event->data_schema),
            .data = as_text(event->data),
            .extensions = extensions_.data(),
            .extension_count = extensions_.size()};
}

}  // namespace fanfare::worker

#include "worker/abi_event.h"

namespace fanfare::worker {
namespace {

abi::Text text(std::string_view view) {
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
      extensions_.push_back({text(name), text(value)});
    }
  }
  event_ = {.id = text(id_),
            .ce_id = text(event->id),
            .source = text(event->source),
            .type = text(event->type),
            .subject = text(event->subject),
            .time = text(event->time),
            .content_type = text(event->content_type),
            .data_schema = text(event->data_schema),
            .data = text(event->data),
            .extensions = extensions_.data(),
            .extension_count = extensions_.size()};
}

}  // namespace fanfare::worker

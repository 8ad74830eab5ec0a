#include "store/staging.h"

#include "store/keys.h"
#include "store/packed.h"

namespace fanfare::store {
namespace {

std::size_t bytes_of(const Append::Stream& stream) {
  std::size_t bytes = kPackedHead * stream.items.size();
  for (const auto& item : stream.items) bytes += std::string_view{item.packed_event}.size();
  return bytes;
}

// Of a call that is an append: each stream whose events lie beside.
template <typename Each>
void for_each_beside(const Call& call, Each each) {
  const auto* append = std::get_if<Append>(&call);
  if (append == nullptr || !append->beside) return;
  for (const auto& stream : append->streams) {
    if (!lies_beside(*append, stream)) continue;
    each(stream, staged_key(stream.function, stream.lane, append->entry, append->epoch));
  }
}

}  // namespace

bool lies_beside(const Append& call, const Append::Stream& stream) {
  return call.beside && call.taken.empty() && bytes_of(stream) >= kBesideMin;
}

void add_events(const Append::Stream& stream, Arguments& out) {
  if (stream.items.size() == 1) return out.add(stream.items[0].packed_event);
  char* at = out.add_room(bytes_of(stream));
  for (const auto& item : stream.items) at = put_packed(at, item.index, item.packed_event);
}

void stage(const Call& call, Arguments& out, const std::function<void()>& send) {
  for_each_beside(call, [&](const Append::Stream& stream, const std::string& key) {
    out.clear();
    out.add("SET");
    out.add_copy(key);
    add_events(stream, out);
    out.add("PX");
    out.add_number(kStagedMs);
    send();
  });
}

bool unstage(const Call& call, Arguments& out) {
  out.clear();
  for_each_beside(call, [&](const Append::Stream&, const std::string& key) {
    if (out.all().empty()) out.add("UNLINK");
    out.add_copy(key);
  });
  return !out.all().empty();
}

}  // namespace fanfare::store

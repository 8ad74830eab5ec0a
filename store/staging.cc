#include "store/staging.h"

#include <algorithm>
#include <string>

#include "store/keys.h"
#include "store/packed.h"
#include "store/row.h"

namespace fanfare::store {
namespace {

std::size_t bytes_of(const Append::Stream& stream) {
  std::size_t bytes = kPackedHead * stream.items.size();
  for (const auto& item : stream.items) bytes += std::string_view{item.packed_event}.size();
  return bytes;
}

std::string_view record_of(const Commit& call, const GroupedItem& item) {
  return call.groups[item.outer].items[item.inner].record;
}

std::size_t bytes_of(const Commit& call, std::span<const GroupedItem> group) {
  std::size_t bytes = (kPackedHead + kResultHead) * group.size();
  for (const auto& item : group) bytes += record_of(call, item).size();
  return bytes;
}

// Calls each(key, add) of all that is staged for this call; `add` adds the value.
template <typename Each>
void for_each_beside(const Call& call, Each each) {
  if (const auto* append = std::get_if<Append>(&call); append && append->beside) {
    for (const auto& stream : append->streams) {
      if (!lies_beside(*append, stream)) continue;
      each(staged_key(stream.function, stream.lane, append->entry, append->epoch),
           [&](Arguments& out) { add_events(stream, out); });
    }
  }
  if (const auto* commit = std::get_if<Commit>(&call); commit && commit->beside) {
    if (!is_packed(*commit)) return;
    const auto items = grouped(*commit);
    for (const auto& group : groups_among(items)) {
      if (!lies_beside(*commit, group)) continue;
      const GroupedItem& first = group.front();
      each(staged_span_key(commit->function, first.entry, first.index, group.back().index,
                           first.token),
           [&](Arguments& out) { add_results(*commit, group, out); });
    }
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

bool is_packed(const Commit& call) {
  return call.packed && call.result_ttl_ms > 0 &&
         std::ranges::all_of(call.groups, [](const Commit::Group& group) {
           return std::ranges::all_of(group.items, &Effects::empty, &Commit::Item::effects);
         });
}

bool lies_beside(const Commit& call, std::span<const GroupedItem> group) {
  const bool neighbours = group.back().index - group.front().index + 1u == group.size();
  return call.beside && group.size() > 1 && neighbours && bytes_of(call, group) >= kBesideMin;
}

void add_results(const Commit& call, std::span<const GroupedItem> group, Arguments& out) {
  const GroupedItem& first = group.front();
  if (group.size() == 1) return out.add_copy(TokenBytes{first.token}, record_of(call, first));
  char* at = out.add_room(bytes_of(call, group));
  for (const auto& item : group) {
    at = put_packed(at, item.index, TokenBytes{item.token}, record_of(call, item));
  }
}

void stage(const Call& call, Arguments& out, const std::function<void()>& send) {
  for_each_beside(call, [&](const std::string& key, const auto& add) {
    out.clear();
    out.add("SET");
    out.add_copy(key);
    add(out);
    out.add("PX");
    out.add_number(kStagedMs);
    send();
  });
}

bool unstage(const Call& call, Arguments& out) {
  out.clear();
  for_each_beside(call, [&](const std::string& key, const auto&) {
    if (out.all().empty()) out.add("UNLINK");
    out.add_copy(key);
  });
  return !out.all().empty();
}

}  // namespace fanfare::store

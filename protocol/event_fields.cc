#include "protocol/event_fields.h"

#include <algorithm>

#include "protocol/fold_case.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/pattern_match.h"

namespace fanfare::protocol {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::uint32_t kData = 0;  // the node of data itself
constexpr std::size_t kFirstCapacity = 4096;

std::uint64_t hash_child(std::uint32_t parent, std::string_view key) {
  return mix(hash_text(key) ^ (std::uint64_t{parent} << 32), 0xA0761D6478BD642Fu);
}

// Null for one that is no attribute of CloudEvents.
const std::string_view* attribute_of(const EventView& event, std::string_view name) {
  if (name == "type") return &event.type;
  if (name == "source") return &event.source;
  if (name == "subject") return &event.subject;
  if (name == "id") return &event.id;
  if (name == "time") return &event.time;
  if (name == "datacontenttype") return &event.content_type;
  if (name == "dataschema") return &event.data_schema;
  return nullptr;
}

void fill(Leaf& leaf, const element& value, std::uint32_t frame) {
  leaf.frame = frame;
  if (value.get(leaf.text) == simdjson::SUCCESS) return;
  if (value.get(leaf.number) == simdjson::SUCCESS) {
    leaf.kind = Leaf::Kind::kNumber;
  } else if (value.get(leaf.flag) == simdjson::SUCCESS) {
    leaf.kind = Leaf::Kind::kBool;
  } else {
    leaf.kind = Leaf::Kind::kNull;
  }
}

}  // namespace

EventFields::EventFields() {
  children_.resize(64);
  add_node({}, true);
  // If it has not the memory now, it asks again with the first event.
  [[maybe_unused]] const auto error = parser_.allocate(kFirstCapacity, kJsonDepthMax);
}

std::uint32_t EventFields::add_node(std::vector<std::string> path, bool is_data) {
  Node& node = nodes_.emplace_back();
  node.path = std::move(path);
  node.is_data = is_data;
  states_.emplace_back();
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

std::uint32_t EventFields::add_attribute(const std::vector<std::string>& path) {
  std::vector<std::string> wanted{path.front()};
  const bool within = path.size() > 1;
  if (within) wanted.push_back(name_of_attribute(path));
  for (const std::uint32_t known : attributes_) {
    if (nodes_[known].path == wanted) return known;
  }
  const bool is_extension = !within && !attribute_of(EventView{}, wanted.front());
  const std::uint32_t field = add_node(std::move(wanted), false);
  attributes_.push_back(field);
  if (is_extension) extensions_.push_back(field);
  if (within) within_attributes_.push_back(field);
  return field;
}

std::uint32_t EventFields::add_data(const std::vector<std::string>& path) {
  std::uint32_t at = kData;
  for (std::size_t depth = 0; depth < path.size(); ++depth) {
    std::uint32_t next = child(at, path[depth]);
    if (next == kNone) {
      const auto end = path.begin() + static_cast<std::ptrdiff_t>(depth) + 1;
      next = add_node({path.begin(), end}, true);
      nodes_[at].has_more = true;
      add_child(at, next);
    }
    at = next;
  }
  nodes_[at].tested = true;
  return at;
}

std::uint32_t EventFields::child(std::uint32_t parent, std::string_view key) const {
  const std::uint64_t hash = hash_child(parent, key);
  for (std::size_t at = hash & (children_.size() - 1);; at = (at + 1) & (children_.size() - 1)) {
    const Child& one = children_[at];
    if (one.node == kNone) return kNone;
    if (one.hash == hash && one.parent == parent && nodes_[one.node].path.back() == key) {
      return one.node;
    }
  }
}

void EventFields::add_child(std::uint32_t parent, std::uint32_t node) {
  if (++children_count_ * 2 > children_.size()) grow_children();
  const std::uint64_t hash = hash_child(parent, nodes_[node].path.back());
  std::size_t at = hash & (children_.size() - 1);
  while (children_[at].node != kNone) at = (at + 1) & (children_.size() - 1);
  children_[at] = {hash, parent, node};
}

void EventFields::grow_children() {
  std::vector<Child> old(children_.size() * 2);
  old.swap(children_);
  for (const Child& one : old) {
    if (one.node == kNone) continue;
    std::size_t at = one.hash & (children_.size() - 1);
    while (children_[at].node != kNone) at = (at + 1) & (children_.size() - 1);
    children_[at] = one;
  }
}

void EventFields::begin(const EventView& event) {
  ++event_;
  view_ = &event;
  data_read_ = false;
  present_.clear();
  leaves_.clear();
  frames_.clear();
  folded_count_ = 0;
  for (const std::uint32_t field : attributes_) {
    if (const auto* text = attribute_of(event, nodes_[field].path.front())) add_text(field, *text);
  }
  const bool none_wanted = extensions_.empty() && within_attributes_.empty();
  if (none_wanted || event.packed_extensions.empty()) return;
  for (const auto& [name, text] : view_extensions(event)) {
    if (name == kNotificationAttributes && add_within_attributes(text)) continue;
    for (const std::uint32_t field : extensions_) {
      if (nodes_[field].path.front() == name) add_text(field, text);
    }
  }
}

// False: it is a text as those of other extensions are.
bool EventFields::add_within_attributes(std::string_view text) {
  simdjson::dom::object object;
  if (!parse_attributes(attributes_parser_, text, object)) return false;
  for (const std::uint32_t field : within_attributes_) {
    element at;
    if (object.at_key(nodes_[field].path.back()).get(at) != simdjson::SUCCESS) continue;
    each_value(at, false, [&](const element& value, bool in_array) {
      fill(add_leaf(field, in_array), value, kNone);
    });
  }
  return true;
}

// One that is empty is not there, see to_pattern_json.
void EventFields::add_text(std::uint32_t field, std::string_view text) {
  if (!text.empty()) add_leaf(field, false).text = text;
}

Leaf& EventFields::add_leaf(std::uint32_t field, bool in_array) {
  const auto number = static_cast<std::uint32_t>(leaves_.size());
  State& state = states_[field];
  Leaf& leaf = leaves_.emplace_back();
  leaf.field = field;
  if (state.event != event_) {
    state = {event_, number, in_array};
    present_.push_back(field);
    return leaf;
  }
  state.in_array = state.in_array || in_array;
  leaf.next = state.first;
  state.first = number;
  return leaf;
}

void EventFields::read_data() {
  if (data_read_) return;
  data_read_ = true;
  if (parse(*view_)) walk(kData, root_, kNone, false);
}

bool EventFields::parse(const EventView& event) {
  if (event.data.empty()) return false;
  if (!event.content_type.empty() && !is_json_type(event.content_type)) return false;
  padded_.clear();
  padded_.reserve(event.data.size() + simdjson::SIMDJSON_PADDING);
  padded_.append(event.data).append(simdjson::SIMDJSON_PADDING, '\0');
  // simdjson counts depth a little differently: what it takes is within bounds, and what it finds
  // too deep is looked at again.
  const auto error = parser_.parse(padded_.data(), event.data.size(), false).get(root_);
  if (error != simdjson::DEPTH_ERROR) return error == simdjson::SUCCESS;
  return nests_within_bounds(event.data) &&
         deep_parser_.parse(padded_.data(), event.data.size(), false).get(root_) ==
             simdjson::SUCCESS;
}

void EventFields::walk(std::uint32_t number, const element& at, std::uint32_t frame,
                       bool in_array) {
  switch (at.type()) {
    case element_type::ARRAY: {
      simdjson::dom::array elements;
      if (at.get(elements) != simdjson::SUCCESS) return;
      for (const element one : elements) walk(number, one, frame, true);
      return;
    }
    case element_type::OBJECT:
      if (nodes_[number].has_more) walk_object(number, at, frame, in_array);
      return;
    default:
      if (nodes_[number].tested) fill(add_leaf(number, in_array), at, frame);
  }
}

void EventFields::walk_object(std::uint32_t number, const element& at, std::uint32_t frame,
                              bool in_array) {
  simdjson::dom::object object;
  if (at.get(object) != simdjson::SUCCESS) return;
  const auto here = static_cast<std::uint32_t>(frames_.size());
  const std::uint64_t serial = ++objects_;
  frames_.push_back({frame, object});
  for (const auto field : object) {
    const std::uint32_t inner = child(number, field.key);
    // Of a key that is there twice the first one counts.
    if (inner == kNone || nodes_[inner].seen == serial) continue;
    nodes_[inner].seen = serial;
    walk(inner, field.value, here, in_array);
  }
}

std::string_view EventFields::folded(std::uint32_t number) {
  Leaf& leaf = leaves_[number];
  if (leaf.folded == kNone) {
    leaf.folded = static_cast<std::uint32_t>(folded_count_++);
    if (folded_.size() < folded_count_) folded_.emplace_back();
    folded_[leaf.folded] = fold_case(leaf.text);
  }
  return folded_[leaf.folded];
}

}  // namespace fanfare::protocol

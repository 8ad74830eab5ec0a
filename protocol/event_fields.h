// What an event has in the fields that some pattern names, picked from it in one way through its
// JSON: what no pattern names is stepped over.
//
// Of the matcher alone; simdjson's header is expensive to read.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/event.h"
#include "protocol/matcher_keys.h"
#include "protocol/pattern.h"

namespace fanfare::protocol {

inline constexpr std::uint32_t kNone = 0xFFFFFFFF;

// A value: neither an object nor an array.
struct Leaf {
  enum class Kind : std::uint8_t { kText, kNumber, kBool, kNull };
  Kind kind = Kind::kText;
  bool flag = false;
  std::uint32_t field = 0;
  std::uint32_t frame = kNone;  // the object that it lies in; attributes, and data itself, in none
  std::uint32_t next = kNone;   // of the same field
  std::uint32_t folded = kNone;
  std::uint64_t hash = 0;  // of the text, once it has been asked for
  double number = 0;
  std::string_view text;
};

// An object of the data that lies on the way to a field.
struct Frame {
  std::uint32_t parent = kNone;
  simdjson::dom::object object;
};

class EventFields {
 public:
  EventFields();

  // Fields are numbered as they are added; the same one has the same number. Attributes by the path
  // of a test, those of data by their path within it.
  std::uint32_t add_attribute(const std::vector<std::string>& path);
  std::uint32_t add_data(const std::vector<std::string>& path);
  std::size_t size() const { return nodes_.size(); }
  const std::vector<std::string>& path_of(std::uint32_t field) const { return nodes_[field].path; }
  bool is_data(std::uint32_t field) const { return nodes_[field].is_data; }

  // Takes the attributes of an event, whose bytes must stay until the next one.
  void begin(const EventView& event);
  // Reads its data, the first time that it is asked after begin(). What is not JSON, see
  // to_pattern_json, has no fields.
  void read_data();

  // Of the event's fields that have a value, in no order.
  std::span<const std::uint32_t> present() const { return present_; }
  // kNone: the field has no value.
  std::uint32_t first_leaf(std::uint32_t field) const {
    return states_[field].event == event_ ? states_[field].first : kNone;
  }
  const Leaf& leaf(std::uint32_t number) const { return leaves_[number]; }
  const Frame& frame(std::uint32_t number) const { return frames_[number]; }
  // Whether a value of the field lies in an array, at any depth. Only of one that is present.
  bool in_array(std::uint32_t field) const { return states_[field].in_array; }
  // The whole of the data, if it is JSON.
  const simdjson::dom::element& root() const { return root_; }
  std::uint64_t hash_of(std::uint32_t leaf) {
    Leaf& text = leaves_[leaf];
    if (text.hash == 0) text.hash = hash_text(text.text);
    return text.hash;
  }
  // The text of a leaf without its case.
  std::string_view folded(std::uint32_t leaf);

 private:
  struct Node {
    std::vector<std::string> path;
    bool is_data = false;
    bool tested = false;     // a field; others are on the way to one
    bool has_more = false;   // fields lie within it
    std::uint64_t seen = 0;  // the object in which it was found last
  };
  struct State {
    std::uint64_t event = 0;
    std::uint32_t first = kNone;
    bool in_array = false;
  };
  struct Child {
    std::uint64_t hash = 0;
    std::uint32_t parent = 0;
    std::uint32_t node = kNone;
  };

  std::uint32_t add_node(std::vector<std::string> path, bool is_data);
  std::uint32_t child(std::uint32_t parent, std::string_view key) const;
  void add_child(std::uint32_t parent, std::uint32_t node);
  void grow_children();
  void add_text(std::uint32_t field, std::string_view text);
  bool add_within_attributes(std::string_view text);
  Leaf& add_leaf(std::uint32_t field, bool in_array);
  void walk(std::uint32_t node, const simdjson::dom::element& at, std::uint32_t frame,
            bool in_array);
  void walk_object(std::uint32_t node, const simdjson::dom::element& at, std::uint32_t frame,
                   bool in_array);
  bool parse(const EventView& event);

  std::vector<Node> nodes_;
  std::vector<Child> children_;  // of all nodes: a table with free places, its size a power of two
  std::size_t children_count_ = 0;
  std::vector<std::uint32_t> attributes_;         // fields
  std::vector<std::uint32_t> extensions_;         // those of them that are extensions
  std::vector<std::uint32_t> within_attributes_;  // those that lie within kNotificationAttributes

  std::uint64_t event_ = 0;    // counts events
  std::uint64_t objects_ = 0;  // counts objects, of all events
  const EventView* view_ = nullptr;
  bool data_read_ = false;
  std::vector<State> states_;  // by field
  std::vector<std::uint32_t> present_;
  std::vector<Leaf> leaves_;
  std::vector<Frame> frames_;
  std::deque<std::string> folded_;  // a view of one stays while others come
  std::size_t folded_count_ = 0;
  simdjson::dom::parser parser_;
  simdjson::dom::parser deep_parser_;  // for the few that nest as deep as may be
  simdjson::dom::parser attributes_parser_;
  simdjson::dom::element root_;
  std::string padded_;  // the data, with what simdjson wants behind it
};

}  // namespace fanfare::protocol

// The branches of all patterns, and where each is looked for.
//
// A branch stands in a tree of nodes. The way from the root to it tells some of its tests by their
// keys (matcher_keys.h): the type, if it tests that, then other attributes, then, as long as there
// are many at one place, of its fields of data the one by which it has the fewest beside it. Only
// if some branch tests no attribute, so that the data of each event must be read, the field by
// which it has the fewest beside it comes first, whatever it is. So an event that goes down by the
// keys it has meets few branches that it does not match, however many there are.
//
// Of the matcher alone.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "protocol/event_fields.h"
#include "protocol/matcher_keys.h"
#include "protocol/number_ranges.h"

namespace fanfare::protocol {

// A test, once for all branches that have it.
struct SharedTest {
  FieldTest test;
  std::uint32_t field = 0;
  bool absence_holds = false;
  // For each alternative, the numbers of the keys of which any finds it. Empty if it has one that
  // no key finds: a branch is not looked for by this test then.
  std::vector<std::vector<std::uint32_t>> keys;
  bool any_value = false;  // by one of its alternatives it is found by any value
  // The alternatives that are a text as it is written, ascending, if there are many of them, and
  // the others: the whole list is long to look through.
  std::vector<std::string_view> texts;
  std::vector<const Alternative*> others;
};

// A branch, once for all subscribers that have it. Its tests lie together with those of others, to
// be quickly at hand: first those of attributes, then those of data, ascending by path.
struct SharedBranch {
  std::uint32_t first_test = 0;
  std::uint16_t attributes = 0, data = 0;  // how many; a pattern has up to 256
  bool only_type = false;                  // it tests nothing but the type
};

// What a key leads to: a node, or one branch that is alone at its place.
class Target {
 public:
  static Target node(std::size_t number) { return Target(static_cast<std::uint32_t>(number)); }
  static Target branch(std::uint32_t number) { return Target(number | kBranch); }
  Target() = default;  // nothing
  explicit operator bool() const { return value_ != kNone; }
  bool is_branch() const { return (value_ & kBranch) != 0; }
  std::uint32_t number() const { return value_ & ~kBranch; }
  std::uint32_t raw() const { return value_; }
  static Target from_raw(std::uint32_t raw) { return Target(raw); }

 private:
  static constexpr std::uint32_t kBranch = 0x80000000;
  explicit Target(std::uint32_t value) : value_(value) {}
  std::uint32_t value_ = kNone;
};

// What a field's values are looked up in, at one node.
struct FieldIndex {
  std::uint32_t field = 0;
  std::uint64_t salt = 0;   // tells its keys from those of all others
  std::uint32_t kinds = 0;  // of its keys: a bit for each
  Target any;               // what any value leads to
  std::vector<std::uint32_t> prefixes, suffixes, folded_prefixes, folded_suffixes;  // lengths
  std::vector<std::uint32_t> addresses;                                             // lengths
  std::uint32_t piece_lengths = 0;          // a bit for each
  std::vector<std::uint64_t> piece_filter;  // bits of those that there may be
  unsigned piece_shift = 0;                 // that makes a bit's place of a piece
  NumberRanges ranges;

  std::uint32_t piece_place(std::uint64_t piece) const {
    return static_cast<std::uint32_t>(piece) * 0x9E3779B1u >> piece_shift;
  }
  bool has(Key::Kind kind) const { return (kinds >> static_cast<unsigned>(kind) & 1u) != 0; }
};

struct IndexNode {
  std::vector<std::uint32_t> branches;  // to be held against the event one by one
  std::vector<FieldIndex> attributes;   // ascending by field
  std::vector<FieldIndex> data;         // ascending by field
};

// From a key at a node to what it leads to. Most keys of an event are not there: a few bits for
// each that is say so, which lie nearer to the processor than the table.
class KeyTable {
 public:
  void resize(std::size_t keys);
  // False: it could not be told from one that is there. The table is of no use then; others keys
  // are to be made for all.
  bool insert(std::uint64_t key, Target target);
  // What the key leads to; of one that has not been inserted, nothing or anything.
  Target find(std::uint64_t key) const {
    if ((filter_[key >> filter_shift_] >> (key & 63) & 1u) == 0) return {};
    for (std::size_t at = key >> 32 & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.key == static_cast<std::uint32_t>(key) || !slot.target) return slot.target;
    }
  }

 private:
  struct Slot {
    std::uint32_t key = 0;  // the half of it that does not say its place
    Target target;
  };
  std::vector<Slot> slots_{2};
  std::size_t mask_ = 1;
  std::vector<std::uint64_t> filter_{0, 0};
  unsigned filter_shift_ = 63;
};

inline std::uint64_t table_key(const FieldIndex& index, Key::Kind kind, std::uint32_t length,
                               std::uint64_t hash) {
  return mix(hash ^ index.salt,
             0xE7037ED1A0B428DBu + static_cast<std::uint64_t>(kind) + (std::uint64_t{length} << 8));
}

class MatcherIndex {
 public:
  void add(const Branch& branch, std::uint32_t subscriber);
  // After all have been added: takes in the order of a millisecond for 1,000 patterns.
  void build();

  EventFields fields;
  std::vector<SharedTest> tests;
  std::vector<SharedBranch> branches;
  std::vector<std::vector<std::uint32_t>> subscribers;  // by branch
  std::span<const std::uint32_t> attributes_of(const SharedBranch& branch) const {
    return std::span(branch_tests_).subspan(branch.first_test, branch.attributes);
  }
  std::span<const std::uint32_t> data_of(const SharedBranch& branch) const {
    return std::span(branch_tests_).subspan(branch.first_test + branch.attributes, branch.data);
  }
  std::vector<IndexNode> nodes;  // the first is the root
  KeyTable table;

 private:
  friend class IndexBuilder;
  std::uint32_t share(const FieldTest& test, bool is_data);

  std::map<std::string, std::uint32_t> tests_by_text_;
  std::map<std::vector<std::uint32_t>, std::uint32_t> branches_by_tests_;
  std::vector<std::uint32_t> branch_tests_;
  std::vector<Key> keys_;
  std::vector<std::uint32_t> key_fields_;  // of each key
  std::map<std::vector<std::uint64_t>, std::uint32_t> keys_by_value_;
};

}  // namespace fanfare::protocol

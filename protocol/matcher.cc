#include "protocol/matcher.h"

#include <algorithm>

#include "protocol/matcher_index.h"
#include "protocol/pattern_match.h"

namespace fanfare::protocol {
namespace {

using KeyKind = Key::Kind;

// What has been found out about a test, and what is needed for most: it is next to it.
struct TestState {
  std::uint64_t event = 0;  // the last one for which it has been found out
  bool holds = false;       // for some value of its field
  bool absence_holds = false;
  bool one_text = false;  // it is nothing but one text as it is written
  std::uint32_t field = 0;
  std::string_view text;
};

// The last events that came to a node, and left nothing to do there.
struct Visit {
  std::uint64_t looked_up = 0;   // its fields were looked up
  std::uint64_t considered = 0;  // no branch waits for another value that leads here
};

}  // namespace

struct Matcher::Impl {
  MatcherProtections protections;
  MatcherIndex index;
  bool built = false;
  bool only_type_at_root = false;  // no other attribute is looked up there

  std::uint64_t event = 0;  // counts events
  std::vector<TestState> tests;
  std::vector<std::uint64_t> matched;  // by branch: the last event that matched it
  std::vector<Visit> visits;           // by node
  std::vector<std::uint32_t> subscribers;
  bool by_type_alone = false;
  std::uint32_t branches_held = 0;
  std::vector<const FieldTest*> wanted;  // kept for their capacity
  std::vector<simdjson::dom::object> frames_of_leaf;

  void build() {
    index.build();
    built = true;
    const IndexNode& root = index.nodes.front();
    only_type_at_root = root.attributes.size() == 1 &&
                        index.fields.path_of(root.attributes[0].field).front() == "type";
    event = 0;
    tests.clear();
    for (const SharedTest& test : index.tests) {
      TestState& state = tests.emplace_back();
      state.absence_holds = test.absence_holds;
      state.field = test.field;
      const Alternative& first = test.test.alternatives.front();
      state.one_text = test.test.alternatives.size() == 1 &&
                       first.kind == Alternative::Kind::kString && !first.any_case;
      if (state.one_text) state.text = first.text;
    }
    matched.assign(index.branches.size(), 0);
    visits.assign(index.nodes.size(), {});
  }

  void follow(Target target, std::uint32_t leaf) {
    if (target.is_branch()) {
      consider(target.number(), leaf);
    } else {
      visit(target.number(), leaf);
    }
  }

  // At a node that `leaf` led to; kNone at the root.
  void visit(std::uint32_t number, std::uint32_t leaf) {
    const IndexNode& node = index.nodes[number];
    if (visits[number].considered != event) {
      bool done = true;
      for (const std::uint32_t branch : node.branches) done = consider(branch, leaf) && done;
      if (done) visits[number].considered = event;
    }
    if (node.attributes.empty() && node.data.empty()) return;
    if (visits[number].looked_up == event) return;
    visits[number].looked_up = event;
    by_type_alone = by_type_alone && number == 0 && only_type_at_root;
    look_up_all(node.attributes);
    if (node.data.empty()) return;
    by_type_alone = false;
    index.fields.read_data();
    look_up_all(node.data);
  }

  // Looks at the fields of the event or at those of the index, of whichever there are fewer.
  void look_up_all(const std::vector<FieldIndex>& indexes) {
    if (indexes.size() <= 2 * index.fields.present().size()) {
      for (const FieldIndex& one : indexes) look_up_values(one);
      return;
    }
    // By number: what is looked up may add fields of the data.
    for (std::size_t i = 0; i < index.fields.present().size(); ++i) {
      const std::uint32_t field = index.fields.present()[i];
      const auto at = std::ranges::lower_bound(indexes, field, {}, &FieldIndex::field);
      if (at != indexes.end() && at->field == field) look_up_values(*at);
    }
  }

  void look_up_values(const FieldIndex& one) {
    std::uint32_t leaf = index.fields.first_leaf(one.field);
    while (leaf != kNone) {
      look_up(one, leaf);
      leaf = protections.look_through_all ? index.fields.leaf(leaf).next : kNone;
    }
  }

  void look_up(const FieldIndex& one, std::uint32_t leaf) {
    const Leaf value = index.fields.leaf(leaf);  // others may be read meanwhile
    const auto find = [&](KeyKind kind, std::uint32_t length, std::uint64_t hash) {
      const Target target = index.table.find(table_key(one, kind, length, hash));
      if (target) follow(target, leaf);
    };
    if (one.any) follow(one.any, leaf);
    switch (value.kind) {
      case Leaf::Kind::kText:
        return look_up_text(one, leaf, value.text, find);
      case Leaf::Kind::kNumber:
        if (one.has(KeyKind::kNumber)) find(KeyKind::kNumber, 0, hash_number(value.number));
        if (one.has(KeyKind::kRange)) {
          one.ranges.each_with(value.number,
                               [&](std::uint32_t raw) { follow(Target::from_raw(raw), leaf); });
        }
        return;
      case Leaf::Kind::kBool:
        if (one.has(KeyKind::kFlag)) find(KeyKind::kFlag, 0, hash_flag(value.flag));
        return;
      case Leaf::Kind::kNull:
        if (one.has(KeyKind::kFlag)) find(KeyKind::kFlag, 0, hash_null());
        return;
    }
  }

  template <typename Find>
  void look_up_text(const FieldIndex& one, std::uint32_t leaf, std::string_view text,
                    const Find& find) {
    const auto found_as = [&](KeyKind kind) {
      return [&find, kind](std::uint32_t length, std::uint64_t hash) { find(kind, length, hash); };
    };
    if (one.has(KeyKind::kText)) find(KeyKind::kText, 0, index.fields.hash_of(leaf));
    if (one.has(KeyKind::kPrefix)) each_prefix(text, one.prefixes, found_as(KeyKind::kPrefix));
    if (one.has(KeyKind::kSuffix)) each_suffix(text, one.suffixes, found_as(KeyKind::kSuffix));
    constexpr auto kFolded = 1u << static_cast<unsigned>(KeyKind::kFoldedText) |
                             1u << static_cast<unsigned>(KeyKind::kFoldedPrefix) |
                             1u << static_cast<unsigned>(KeyKind::kFoldedSuffix);
    if ((one.kinds & kFolded) != 0) {
      const std::string_view folded = index.fields.folded(leaf);
      if (one.has(KeyKind::kFoldedText)) find(KeyKind::kFoldedText, 0, hash_text(folded));
      each_prefix(folded, one.folded_prefixes, found_as(KeyKind::kFoldedPrefix));
      each_suffix(folded, one.folded_suffixes, found_as(KeyKind::kFoldedSuffix));
    }
    if (one.has(KeyKind::kPiece)) {
      look_up_pieces<1>(one, text, find);
      look_up_pieces<2>(one, text, find);
      look_up_pieces<3>(one, text, find);
      look_up_pieces<kPieceMax>(one, text, find);
    }
    if (one.has(KeyKind::kAddress)) look_up_address(one, text, find);
  }

  template <std::size_t kLength, typename Find>
  void look_up_pieces(const FieldIndex& one, std::string_view text, const Find& find) {
    if ((one.piece_lengths >> kLength & 1u) == 0 || text.size() < kLength) return;
    const std::uint64_t* const filter = one.piece_filter.data();
    const char* const end = text.data() + text.size() - kLength;
    for (const char* at = text.data(); at <= end; ++at) {
      const std::uint64_t piece = hash_piece(at, kLength);
      const std::uint32_t place = one.piece_place(piece);
      if ((filter[place / 64] >> (place % 64) & 1u) != 0) find(KeyKind::kPiece, kLength, piece);
    }
  }

  template <typename Find>
  void look_up_address(const FieldIndex& one, std::string_view text, const Find& find) {
    const auto address = parse_address(text);
    if (!address) return;
    for (const std::uint32_t length : one.addresses) {
      if (length >> 8 == address->bytes)
        find(KeyKind::kAddress, length, hash_address(*address, length));
    }
  }

  // False: another value that leads here may show that the branch matches.
  bool consider(std::uint32_t number, std::uint32_t leaf) {
    const SharedBranch& branch = index.branches[number];
    by_type_alone = by_type_alone && branch.only_type;
    if (matched[number] == event) return true;
    ++branches_held;
    const bool found_by_a_test = leaf != kNone;
    if (protections.all_tests || !found_by_a_test) {
      if (!all_somewhere(branch)) return true;
      if (in_arrays(branch) >= 2 && protections.same_element && !together(branch, leaf)) {
        return false;
      }
    }
    matched[number] = event;
    const std::vector<std::uint32_t>& of_branch = index.subscribers[number];
    subscribers.insert(subscribers.end(), of_branch.begin(), of_branch.end());
    return true;
  }

  // Whether each test of the branch holds for some value of its field.
  bool all_somewhere(const SharedBranch& branch) {
    const auto holds = [this](std::uint32_t test) { return somewhere(test); };
    if (!std::ranges::all_of(index.attributes_of(branch), holds)) return false;
    if (branch.data == 0) return true;
    index.fields.read_data();
    return std::ranges::all_of(index.data_of(branch), holds);
  }

  // How many tests of the branch have values to choose from.
  std::ptrdiff_t in_arrays(const SharedBranch& branch) const {
    if (branch.data < 2) return 0;
    return std::ranges::count_if(index.data_of(branch), [this](std::uint32_t test) {
      const std::uint32_t field = tests[test].field;
      return index.fields.first_leaf(field) != kNone && index.fields.in_array(field);
    });
  }

  bool somewhere(std::uint32_t number) {
    TestState& state = tests[number];
    if (state.event == event) return state.holds;
    std::uint32_t leaf = index.fields.first_leaf(state.field);
    bool holds = leaf == kNone && state.absence_holds;
    for (; leaf != kNone && !holds; leaf = index.fields.leaf(leaf).next) {
      holds = state.one_text ? is_text(leaf, state.text) : holds_for(index.tests[number], leaf);
    }
    state.event = event;
    state.holds = holds;
    return holds;
  }

  bool is_text(std::uint32_t leaf, std::string_view text) const {
    const Leaf& value = index.fields.leaf(leaf);
    return value.kind == Leaf::Kind::kText && value.text == text;
  }

  bool holds_for(const SharedTest& test, std::uint32_t leaf) {
    const Leaf& value = index.fields.leaf(leaf);
    if (value.kind == Leaf::Kind::kText && std::ranges::binary_search(test.texts, value.text)) {
      return true;
    }
    return std::ranges::any_of(test.others, [&](const Alternative* one) { return is(*one, leaf); });
  }

  bool is(const Alternative& one, std::uint32_t leaf) {
    const Leaf& value = index.fields.leaf(leaf);
    switch (one.kind) {
      case Alternative::Kind::kNumber:
        return value.kind == Leaf::Kind::kNumber && value.number == one.number;
      case Alternative::Kind::kNumeric:
        return value.kind == Leaf::Kind::kNumber && in_range(one, value.number);
      case Alternative::Kind::kBool:
        return value.kind == Leaf::Kind::kBool && value.flag == one.flag;
      case Alternative::Kind::kNull:
        return value.kind == Leaf::Kind::kNull;
      case Alternative::Kind::kExists:
        return one.flag;
      case Alternative::Kind::kAnythingBut:
        return std::ranges::none_of(one.excluded,
                                    [&](const Alternative& no) { return is(no, leaf); });
      default:
        return value.kind == Leaf::Kind::kText &&
               matches_as_written(one, one.any_case ? index.fields.folded(leaf) : value.text);
    }
  }

  // Whether all of the branch's tests of data hold in the same elements of arrays: each of them
  // holds somewhere. Of the value that led here, its elements; without one, any.
  bool together(const SharedBranch& branch, std::uint32_t leaf) {
    wanted.clear();
    for (const std::uint32_t number : index.data_of(branch)) {
      const SharedTest& test = index.tests[number];
      if (index.fields.first_leaf(test.field) != kNone) wanted.push_back(&test.test);
    }
    if (leaf == kNone || !index.fields.is_data(index.fields.leaf(leaf).field)) {
      return all_hold(wanted, 0, index.fields.root());
    }
    frames_of_leaf.clear();
    std::uint32_t frame = index.fields.leaf(leaf).frame;
    for (; frame != kNone; frame = index.fields.frame(frame).parent) {
      frames_of_leaf.push_back(index.fields.frame(frame).object);
    }
    std::ranges::reverse(frames_of_leaf);
    return hold_around(wanted, 0, leaf);
  }

  // The tests have the first `depth` elements of their paths in common with that of the leaf.
  bool hold_around(std::span<const FieldTest* const> around, std::size_t depth,
                   std::uint32_t leaf) {
    const std::vector<std::string>& path = index.fields.path_of(index.fields.leaf(leaf).field);
    while (!around.empty()) {
      const FieldTest& test = *around.front();
      const bool at_leaf = depth == path.size();
      if (at_leaf || test.path.size() == depth) {
        // A value has nothing within it, and what has is no value.
        if (!at_leaf || test.path.size() != depth) return false;
        const auto holds = [&](const Alternative& one) { return is(one, leaf); };
        if (std::ranges::none_of(test.alternatives, holds)) return false;
        around = around.subspan(1);
        continue;
      }
      const std::string& key = test.path[depth];
      const auto others = std::ranges::find_if(
          around, [&](const FieldTest* one) { return one->path[depth] != key; });
      const auto group = around.first(static_cast<std::size_t>(others - around.begin()));
      if (key == path[depth]) {
        if (!hold_around(group, depth + 1, leaf)) return false;
      } else {
        simdjson::dom::element inner;
        if (frames_of_leaf[depth].at_key(key).get(inner) != simdjson::SUCCESS ||
            !all_hold(group, depth + 1, inner)) {
          return false;
        }
      }
      around = around.subspan(group.size());
    }
    return true;
  }
};

Matcher::Matcher(MatcherProtections protections) : impl_(std::make_unique<Impl>()) {
  impl_->protections = protections;
}
Matcher::~Matcher() = default;
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;

void Matcher::add(const Pattern& pattern, std::uint32_t subscriber) {
  for (const Branch& branch : pattern.branches) impl_->index.add(branch, subscriber);
  impl_->built = false;
}

Matched Matcher::match(const EventView& event) {
  Impl& me = *impl_;
  if (!me.built) me.build();
  ++me.event;
  me.subscribers.clear();
  me.index.fields.begin(event);
  me.by_type_alone = true;
  me.branches_held = 0;
  me.visit(0, kNone);
  std::ranges::sort(me.subscribers);
  const auto rest = std::ranges::unique(me.subscribers);
  me.subscribers.erase(rest.begin(), rest.end());
  return {me.subscribers, me.by_type_alone, me.branches_held};
}

}  // namespace fanfare::protocol

// Where in its tree each branch of a MatcherIndex stands.
#include <algorithm>
#include <bit>

#include "protocol/matcher_index.h"

namespace fanfare::protocol {
namespace {

// So few branches are looked at one by one sooner than another key is looked up.
constexpr std::size_t kFew = 6;
// A node further down would tell branches apart by a ninth test.
constexpr std::size_t kIndexDepthMax = 8;
// A branch stands once for each alternative of a test by which it is looked for, and with two such
// tests as often as both multiply; beyond this many times no further one is used.
constexpr std::size_t kCopiesMax = 64;

}  // namespace

// Puts the branches at their places, from the root down.
class IndexBuilder {
 public:
  // Another seed gives all keys in the table other values.
  IndexBuilder(MatcherIndex& index, std::uint64_t seed)
      : index_(index),
        counts_(index.keys_.size()),
        type_(index.fields.add_attribute({"type"})),
        salts_(seed << 32) {}

  // False: two keys could not be told apart, which happens once in many thousand times.
  bool run() {
    index_.nodes.clear();
    index_.nodes.emplace_back();  // taken by the root
    std::vector<Place> all;
    for (std::uint32_t branch = 0; branch < index_.branches.size(); ++branch) {
      all.push_back({branch, 1});
    }
    reads_all_data_ = std::ranges::any_of(index_.branches, [this](const SharedBranch& branch) {
      const auto tests = index_.attributes_of(branch);
      return branch.data > 0 && std::ranges::none_of(tests, [this](std::uint32_t number) {
               return is_selective(index_.tests[number]);
             });
    });
    index_.nodes[0] = split(all, 0);
    index_.table.resize(table_.size());
    return std::ranges::all_of(table_, [this](const auto& entry) {
      return index_.table.insert(entry.first, entry.second);
    });
  }

 private:
  struct Place {
    std::uint32_t branch = 0;
    std::size_t copies = 1;
  };
  struct Choice {
    std::uint32_t test = kNone;
    std::uint64_t cost = 0;
  };
  using Places = std::vector<Place>;

  // Where these are, the keys on the way to which are of the fields in used_.
  Target target_for(const Places& places, std::size_t depth) {
    if (places.size() == 1) return Target::branch(places.front().branch);
    if (places.size() > kFew && depth < kIndexDepthMax) {
      IndexNode node = split(places, depth);
      index_.nodes.push_back(std::move(node));
      return Target::node(index_.nodes.size() - 1);
    }
    std::vector<std::uint32_t> branches;
    for (const Place& place : places) branches.push_back(place.branch);
    const Target next = Target::node(index_.nodes.size());
    const auto [known, is_new] = lists_.emplace(std::move(branches), next);
    if (is_new) index_.nodes.push_back({known->first, {}, {}});
    return known->second;
  }

  IndexNode split(const Places& places, std::size_t depth) {
    count(places, 1);
    std::map<std::uint32_t, std::map<std::uint32_t, Places>> by_field;  // then by key
    IndexNode node;
    for (const Place& place : places) {
      const Choice choice = choose(index_.branches[place.branch], place, places.size(), depth);
      if (choice.test == kNone) {
        node.branches.push_back(place.branch);
        continue;
      }
      const SharedTest& test = index_.tests[choice.test];
      for (const auto& ways : test.keys) {
        Places& there = by_field[test.field][rarest(ways)];
        if (!there.empty() && there.back().branch == place.branch) continue;
        there.push_back({place.branch, place.copies * test.keys.size()});
      }
    }
    count(places, 0);
    for (const auto& [field, by_key] : by_field) {
      auto& indexes = index_.fields.is_data(field) ? node.data : node.attributes;
      indexes.push_back(index_field(field, by_key, depth));
    }
    return node;
  }

  FieldIndex index_field(std::uint32_t field, const std::map<std::uint32_t, Places>& by_key,
                         std::size_t depth) {
    FieldIndex index;
    index.field = field;
    index.salt = mix(++salts_, 0x9E3779B97F4A7C15u);
    std::vector<std::uint64_t> pieces;
    used_.push_back(field);
    for (const auto& [number, places] : by_key) {
      enter(index, index_.keys_[number], target_for(places, depth + 1), pieces);
    }
    used_.pop_back();
    for (auto* lengths : {&index.prefixes, &index.suffixes, &index.folded_prefixes,
                          &index.folded_suffixes, &index.addresses}) {
      std::ranges::sort(*lengths);
      const auto rest = std::ranges::unique(*lengths);
      lengths->erase(rest.begin(), rest.end());
    }
    index.ranges.build();
    if (!pieces.empty()) {
      const std::size_t bits = std::max<std::size_t>(256, std::bit_ceil(pieces.size() * 32));
      index.piece_filter.resize(bits / 64);
      index.piece_shift = 32 - static_cast<unsigned>(std::countr_zero(bits));
      for (const std::uint64_t piece : pieces) {
        const std::uint32_t place = index.piece_place(piece);
        index.piece_filter[place / 64] |= std::uint64_t{1} << (place % 64);
      }
    }
    return index;
  }

  void enter(FieldIndex& index, const Key& key, Target target, std::vector<std::uint64_t>& pieces) {
    index.kinds |= 1u << static_cast<unsigned>(key.kind);
    switch (key.kind) {
      case Key::Kind::kAny:
        index.any = target;
        return;
      case Key::Kind::kRange:
        index.ranges.add(*key.range, target.raw());
        return;
      case Key::Kind::kPrefix:
        index.prefixes.push_back(key.length);
        break;
      case Key::Kind::kSuffix:
        index.suffixes.push_back(key.length);
        break;
      case Key::Kind::kFoldedPrefix:
        index.folded_prefixes.push_back(key.length);
        break;
      case Key::Kind::kFoldedSuffix:
        index.folded_suffixes.push_back(key.length);
        break;
      case Key::Kind::kAddress:
        index.addresses.push_back(key.length);
        break;
      case Key::Kind::kPiece:
        index.piece_lengths |= 1u << key.length;
        pieces.push_back(key.hash);
        break;
      default:
        break;
    }
    table_.emplace_back(table_key(index, key.kind, key.length, key.hash), target);
  }

  // Of an attribute: whether it keeps events away.
  static bool is_selective(const SharedTest& test) { return !test.keys.empty() && !test.any_value; }

  bool is_used(std::uint32_t field) const { return std::ranges::find(used_, field) != used_.end(); }

  // How many times the places have each key; or, with `by` 0, sets all that to nothing again.
  void count(const Places& places, std::uint32_t by) {
    const auto each = [&](std::span<const std::uint32_t> numbers) {
      for (const std::uint32_t number : numbers) {
        const SharedTest& test = index_.tests[number];
        if (is_used(test.field)) continue;
        for (const auto& ways : test.keys) {
          for (const std::uint32_t key : ways) counts_[key] = by == 0 ? 0 : counts_[key] + by;
        }
      }
    };
    for (const Place& place : places) {
      each(index_.attributes_of(index_.branches[place.branch]));
      each(index_.data_of(index_.branches[place.branch]));
    }
  }

  std::uint32_t rarest(const std::vector<std::uint32_t>& ways) const {
    return *std::ranges::min_element(ways, {}, [&](std::uint32_t key) { return counts_[key]; });
  }

  // By which test the branch is looked for here; by none if no one helps.
  Choice choose(const SharedBranch& branch, const Place& place, std::size_t beside,
                std::size_t depth) const {
    const auto better = [](const Choice& one, const Choice& other) {
      if (one.test == kNone || other.test == kNone) return other.test == kNone ? one : other;
      return other.cost < one.cost ? other : one;
    };
    Choice type, attribute, other;
    for (const std::uint32_t number : index_.attributes_of(branch)) {
      const Choice choice = weigh(number, place, beside, depth);
      const SharedTest& test = index_.tests[number];
      if (test.field == type_) type = better(type, choice);
      // An attribute costs next to nothing, and may spare the reading of the data.
      Choice& kind = test.any_value || (depth == 0 && reads_all_data_) ? other : attribute;
      kind = better(kind, choice);
    }
    // What a type alone decides is remembered for each type: so it comes first.
    if (depth == 0 && !reads_all_data_ && type.test != kNone) return type;
    if (attribute.test != kNone) return attribute;
    for (const std::uint32_t number : index_.data_of(branch)) {
      other = better(other, weigh(number, place, beside, depth));
    }
    return other;
  }

  Choice weigh(std::uint32_t number, const Place& place, std::size_t beside,
               std::size_t depth) const {
    const SharedTest& test = index_.tests[number];
    const std::size_t alternatives = test.keys.size();
    if (alternatives == 0 || is_used(test.field)) return {};
    if (depth > 0 && alternatives > 1 && place.copies * alternatives > kCopiesMax) return {};
    std::uint64_t all = 0, most = 0;
    bool has_range = false;
    for (const auto& ways : test.keys) {
      const std::uint32_t key = rarest(ways);
      all += counts_[key];
      most = std::max<std::uint64_t>(most, counts_[key]);
      has_range = has_range || index_.keys_[key].kind == Key::Kind::kRange;
    }
    const bool gates = is_selective(test) && !index_.fields.is_data(test.field);
    if (depth > 0 && !gates && most * 10 > beside * 9) return {};
    // Values that are there are more often in a range than one text, and always some value.
    return {number, test.any_value ? 8 * all + 8 : has_range ? 2 * all : all};
  }

  MatcherIndex& index_;
  std::vector<std::uint32_t> counts_;  // by key
  std::uint32_t type_;
  bool reads_all_data_ = false;      // of each event, for the sake of some branch
  std::vector<std::uint32_t> used_;  // fields
  std::uint64_t salts_;
  std::map<std::vector<std::uint32_t>, Target> lists_;
  std::vector<std::pair<std::uint64_t, Target>> table_;
};

void MatcherIndex::build() {
  std::uint64_t seed = 0;
  while (!IndexBuilder(*this, seed).run()) ++seed;
}

}  // namespace fanfare::protocol

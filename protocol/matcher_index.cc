#include "protocol/matcher_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <tuple>

namespace fanfare::protocol {
namespace {

// So few branches are looked at one by one sooner than another key is looked up.
constexpr std::size_t kFew = 6;
// A node further down would tell branches apart by a ninth test.
constexpr std::size_t kIndexDepthMax = 8;
// A branch stands once for each alternative of a test by which it is looked for, and with two such
// tests as often as both multiply; beyond this many times no further one is used.
constexpr std::size_t kCopiesMax = 64;
// A list of texts is searched from this many on.
constexpr std::size_t kTextsFew = 8;

template <typename Number>
void append_bytes_of(std::string& text, Number number) {
  std::array<char, sizeof number> bytes{};
  std::memcpy(bytes.data(), &number, sizeof number);
  text.append(bytes.data(), bytes.size());
}

void append_text(std::string& text, const std::string& part) {
  append_bytes_of(text, part.size());
  text += part;
}

void append_alternative(std::string& text, const Alternative& one) {
  append_bytes_of(text, one.kind);
  text += static_cast<char>((one.any_case ? 1 : 0) | (one.flag ? 2 : 0) | (one.min_inside ? 4 : 0) |
                            (one.max_inside ? 8 : 0));
  append_bytes_of(text, one.number);
  append_bytes_of(text, one.number_max);
  append_text(text, one.text);
  append_bytes_of(text, one.pieces.size());
  for (const std::string& piece : one.pieces) append_text(text, piece);
  append_bytes_of(text, one.cidr.address);
  append_bytes_of(text, one.cidr.bytes);
  append_bytes_of(text, one.cidr.bits);
  append_bytes_of(text, one.excluded.size());
  for (const Alternative& excluded : one.excluded) append_alternative(text, excluded);
}

std::string text_of_test(const FieldTest& test, bool is_data) {
  std::string text(1, is_data ? 'd' : 'a');
  append_bytes_of(text, test.path.size());
  for (const std::string& key : test.path) append_text(text, key);
  for (const Alternative& one : test.alternatives) append_alternative(text, one);
  return text;
}

bool is_plain_text(const Alternative& one) {
  return one.kind == Alternative::Kind::kString && !one.any_case;
}

void sort_texts(SharedTest& shared) {
  const auto& all = shared.test.alternatives;
  const bool many = static_cast<std::size_t>(std::ranges::count_if(all, is_plain_text)) > kTextsFew;
  for (const Alternative& one : all) {
    if (many && is_plain_text(one)) {
      shared.texts.emplace_back(one.text);
    } else {
      shared.others.push_back(&one);
    }
  }
  std::ranges::sort(shared.texts);
}

}  // namespace

void KeyTable::resize(std::size_t keys) {
  slots_.assign(std::bit_ceil(2 * keys + 2), {});
  mask_ = slots_.size() - 1;
  filter_.assign(std::max<std::size_t>(2, slots_.size() / 16), 0);
  filter_shift_ = 64 - static_cast<unsigned>(std::countr_zero(filter_.size()));
}

bool KeyTable::insert(std::uint64_t key, Target target) {
  std::size_t at = key >> 32 & mask_;
  for (; slots_[at].target; at = (at + 1) & mask_) {
    if (slots_[at].key == static_cast<std::uint32_t>(key)) return false;
  }
  slots_[at] = {static_cast<std::uint32_t>(key), target};
  filter_[key >> filter_shift_] |= std::uint64_t{1} << (key & 63);
  return true;
}

std::uint32_t MatcherIndex::share(const FieldTest& test, bool is_data) {
  const auto next = static_cast<std::uint32_t>(tests.size());
  const auto [known, is_new] = tests_by_text_.emplace(text_of_test(test, is_data), next);
  if (!is_new) return known->second;
  SharedTest& shared = tests.emplace_back();
  shared.test = test;
  shared.field = is_data ? fields.add_data(test.path) : fields.add_attribute(test.path.front());
  shared.absence_holds = absence_matches(test);
  sort_texts(shared);
  for (const Alternative& one : shared.test.alternatives) {
    std::vector<std::uint32_t>& numbers = shared.keys.emplace_back();
    for (const Key& key : keys_of(one)) {
      const std::vector<std::uint64_t> value{shared.field, static_cast<std::uint64_t>(key.kind),
                                             key.length, key.hash};
      const auto number = static_cast<std::uint32_t>(keys_.size());
      const auto [at, is_first] = keys_by_value_.emplace(value, number);
      if (is_first) {
        keys_.push_back(key);
        key_fields_.push_back(shared.field);
      }
      numbers.push_back(at->second);
      shared.any_value = shared.any_value || key.kind == Key::Kind::kAny;
    }
  }
  if (std::ranges::any_of(shared.keys, [](const auto& ways) { return ways.empty(); })) {
    shared.keys.clear();
  }
  return next;
}

void MatcherIndex::add(const Branch& branch, std::uint32_t subscriber) {
  std::vector<std::uint32_t> all;
  for (const FieldTest& test : branch.attributes) all.push_back(share(test, false));
  for (const FieldTest& test : branch.fields) all.push_back(share(test, true));
  std::vector<std::uint32_t> sorted = all;
  std::ranges::sort(sorted);
  const auto next = static_cast<std::uint32_t>(branches.size());
  const auto [known, is_new] = branches_by_tests_.emplace(std::move(sorted), next);
  if (is_new) {
    SharedBranch& shared = branches.emplace_back();
    subscribers.emplace_back();
    shared.first_test = static_cast<std::uint32_t>(branch_tests_.size());
    shared.attributes = static_cast<std::uint16_t>(branch.attributes.size());
    shared.data = static_cast<std::uint16_t>(branch.fields.size());
    shared.only_type =
        branch.fields.empty() &&
        std::ranges::all_of(branch.attributes, [](const auto& t) { return t.path[0] == "type"; });
    branch_tests_.insert(branch_tests_.end(), all.begin(), all.end());
  }
  // The same subscriber's patterns come one after the other.
  std::vector<std::uint32_t>& of_branch = subscribers[known->second];
  if (of_branch.empty() || of_branch.back() != subscriber) of_branch.push_back(subscriber);
}

// Puts the branches at their places, from the root down.
class IndexBuilder {
 public:
  // Another seed gives all keys in the table other values.
  IndexBuilder(MatcherIndex& index, std::uint64_t seed)
      : index_(index),
        counts_(index.keys_.size()),
        type_(index.fields.add_attribute("type")),
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

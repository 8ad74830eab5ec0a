#include "protocol/matcher_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace fanfare::protocol {
namespace {

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
  shared.field = is_data ? fields.add_data(test.path) : fields.add_attribute(test.path);
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

}  // namespace fanfare::protocol

#include "triggers/accept.h"

#include <algorithm>
#include <vector>

namespace fanfare::triggers {
namespace {

struct MediaRange {
  std::string type;   // "text/html", "text/*" or "*/*"
  int weight = 1000;  // thousandths
};

std::string_view without_blanks(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t");
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") + 1 - from);
}

// Takes off what stands before the next `mark`, and the mark.
std::string_view next_part(std::string_view& rest, char mark) {
  const std::string_view part = rest.substr(0, rest.find(mark));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return without_blanks(part);
}

// "1", "0.25" and the like: at most three digits behind the point.
std::optional<int> weight_of(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = text[0] == '1' ? 1000 : 0;
  text.remove_prefix(1);
  if (text.empty()) return weight;
  if (text[0] != '.' || text.size() > 4) return std::nullopt;
  int worth = 100;
  for (const char digit : text.substr(1)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    weight += worth * (digit - '0');
    worth /= 10;
  }
  if (weight > 1000) return std::nullopt;
  return weight;
}

std::optional<MediaRange> media_range(std::string_view text) {
  MediaRange range{.type = lower_case(next_part(text, ';'))};
  if (range.type.find('/') == range.type.npos) return std::nullopt;
  while (!text.empty()) {
    std::string_view parameter = next_part(text, ';');
    if (lower_case(next_part(parameter, '=')) != "q") continue;
    const auto weight = weight_of(without_blanks(parameter));
    if (!weight) return std::nullopt;
    range.weight = *weight;
  }
  return range;
}

// How closely a range says that it means the type; 0: it does not.
int closeness(const MediaRange& range, std::string_view type) {
  if (range.type == type) return 3;
  if (range.type == "*/*") return 1;
  const std::string_view all{range.type};
  return all.ends_with("/*") && type.starts_with(all.substr(0, all.size() - 1)) ? 2 : 0;
}

int weight_for(const std::vector<MediaRange>& ranges, std::string_view type) {
  int closest = 0, weight = 0;
  for (const MediaRange& range : ranges) {
    const int close = closeness(range, type);
    if (close <= closest) continue;
    closest = close;
    weight = range.weight;
  }
  return weight;
}

}  // namespace

std::optional<std::size_t> wanted_of(const HttpExchange& exchange,
                                     std::span<const std::string_view> offered) {
  std::vector<MediaRange> ranges;
  for (const auto& [name, value] : exchange.headers()) {
    if (lower_case(name) != "accept") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::string_view one = next_part(rest, ',');
      if (auto range = media_range(one)) ranges.push_back(*std::move(range));
    }
  }
  if (ranges.empty()) return 0;
  std::optional<std::size_t> best;
  int most = 0;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    const int weight = weight_for(ranges, offered[i]);
    if (weight <= most) continue;
    most = weight;
    best = i;
  }
  return best;
}

}  // namespace fanfare::triggers

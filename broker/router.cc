#include "broker/router.h"

#include <algorithm>
#include <unordered_map>

#include "protocol/matcher.h"

namespace fanfare::broker {
namespace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

struct NumbersHash {
  std::size_t operator()(const std::vector<std::uint32_t>& numbers) const {
    std::uint64_t hash = numbers.size();
    for (const std::uint32_t number : numbers) {
      hash = (hash ^ number) * 0x9E3779B97F4A7C15u;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

}  // namespace

struct Router::Impl {
  explicit Impl(std::size_t max) : names_max(max) {}

  const std::size_t names_max;
  std::size_t names = 0;  // of all routes together, and one for each
  std::uint64_t forgotten = 0;
  std::vector<std::string> functions;  // a subscriber's number is its place
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> numbers;
  protocol::Matcher matcher;

  std::unordered_map<std::vector<std::uint32_t>, std::unique_ptr<Route>, NumbersHash> routes;
  // Types that alone decide. Bounded: publishers choose types.
  static constexpr std::size_t kRememberedTypesMax = 4096;
  std::unordered_map<std::string, const Route*, TextHash, std::equal_to<>> remembered;
  std::vector<std::uint32_t> matched;  // kept for its capacity

  const Route& intern(const std::vector<std::uint32_t>& function_numbers) {
    if (const auto known = routes.find(function_numbers); known != routes.end()) {
      return *known->second;
    }
    const std::size_t more = 1 + function_numbers.size();
    if (names + more > names_max && !routes.empty()) forget();
    names += more;
    auto route = std::make_unique<Route>();
    for (const auto number : function_numbers) route->functions.push_back(functions[number]);
    std::sort(route->functions.begin(), route->functions.end());
    return *routes.emplace(function_numbers, std::move(route)).first->second;
  }

  void forget() {
    remembered.clear();
    routes.clear();
    names = 0;
    ++forgotten;
  }
};

Router::Router(std::size_t names_max) : impl_(std::make_unique<Impl>(names_max)) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::subscribe(const std::string& function, const protocol::Pattern& pattern) {
  Impl& me = *impl_;
  const auto next = static_cast<std::uint32_t>(me.functions.size());
  const auto [known, is_new] = me.numbers.emplace(function, next);
  if (is_new) me.functions.push_back(function);
  me.matcher.add(pattern, known->second);
  me.remembered.clear();
}

const Route& Router::route(const protocol::EventView& event) {
  Impl& me = *impl_;
  if (const auto hit = me.remembered.find(event.type); hit != me.remembered.end()) {
    return *hit->second;
  }
  const protocol::Matched matched = me.matcher.match(event);
  me.matched.assign(matched.subscribers.begin(), matched.subscribers.end());
  const Route& route = me.intern(me.matched);
  if (matched.by_type_alone && me.remembered.size() < Impl::kRememberedTypesMax) {
    me.remembered.emplace(event.type, &route);
  }
  return route;
}

std::uint64_t Router::forgotten() const {
  return impl_->forgotten;
}

}  // namespace fanfare::broker

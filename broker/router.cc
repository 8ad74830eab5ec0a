#include "broker/router.h"

#include <simdjson.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "protocol/pattern_match.h"

namespace fanfare::broker {
namespace {

using protocol::Alternative;
using protocol::Branch;
using protocol::FieldTest;

struct Subscription {
  std::uint32_t function = 0;
  Branch branch;           // of a pattern
  bool only_type = false;  // it says nothing but what types it wants
};

// The event's data as JSON, parsed when first asked for and at most once.
class LazyData {
 public:
  LazyData(simdjson::dom::parser& parser, const protocol::EventView& event)
      : parser_(parser), event_(event) {}

  const simdjson::dom::element* root() {
    if (!tried_) {
      tried_ = true;
      simdjson::dom::element element;
      const simdjson::padded_string padded(event_.data);
      // Parsed strings live in the parser, so the padded copy may go.
      if (parser_.parse(padded).get(element) == simdjson::SUCCESS) root_ = element;
    }
    return root_ ? &*root_ : nullptr;
  }

 private:
  simdjson::dom::parser& parser_;
  const protocol::EventView& event_;
  bool tried_ = false;
  std::optional<simdjson::dom::element> root_;
};

// An absent attribute matches nothing: not even "".
std::optional<std::string_view> attribute(const protocol::EventView& event, std::string_view name) {
  std::string_view value;
  if (name == "type") value = event.type;
  if (name == "source") value = event.source;
  if (name == "subject") value = event.subject;
  if (name == "id") value = event.id;
  if (name == "time") value = event.time;
  if (name == "datacontenttype") value = event.content_type;
  if (name == "dataschema") value = event.data_schema;
  if (!value.empty()) return value;
  for (const auto& [key, text] : protocol::view_extensions(event)) {
    if (key == name) return text;
  }
  return std::nullopt;
}

bool holds(const Branch& branch, const protocol::EventView& event, LazyData& data) {
  for (const FieldTest& test : branch.attributes) {
    const auto value = attribute(event, test.path.front());
    if (!(value ? protocol::text_matches(test, *value) : protocol::absence_matches(test))) {
      return false;
    }
  }
  return branch.fields.empty() || protocol::fields_match(branch, data.root());
}

// One of the types that it names, as it is written.
bool is_exact(const Alternative& type) {
  return type.kind == Alternative::Kind::kString && !type.any_case;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

}  // namespace

struct Router::Impl {
  std::vector<std::string> functions;
  std::vector<Subscription> subscriptions;
  std::unordered_map<std::string, std::vector<std::uint32_t>, TextHash, std::equal_to<>> by_type;
  std::vector<std::uint32_t> by_type_rule;  // those with an alternative that is not one exact type
  std::vector<std::uint32_t> any_type;

  std::map<std::vector<std::uint32_t>, std::unique_ptr<Route>> routes;
  // Types whose candidates look at nothing else. Bounded: publishers choose types.
  static constexpr std::size_t kRememberedTypesMax = 4096;
  std::unordered_map<std::string, const Route*, TextHash, std::equal_to<>> remembered;

  simdjson::dom::parser parser;
  std::vector<std::uint32_t> candidates, matched;  // kept for their capacity

  const Route& intern(const std::vector<std::uint32_t>& function_numbers) {
    auto& route = routes[function_numbers];
    if (!route) {
      route = std::make_unique<Route>();
      for (const auto number : function_numbers) route->functions.push_back(functions[number]);
      std::sort(route->functions.begin(), route->functions.end());
    }
    return *route;
  }

  void subscribe(std::uint32_t function, Branch branch) {
    const auto number = static_cast<std::uint32_t>(subscriptions.size());
    Subscription& subscription =
        subscriptions.emplace_back(Subscription{function, std::move(branch), false});
    const FieldTest* type = subscription.branch.test_of("type");
    subscription.only_type =
        type && subscription.branch.attributes.size() == 1 && subscription.branch.fields.empty();
    if (!type) {
      any_type.push_back(number);
    } else if (!std::ranges::all_of(type->alternatives, is_exact)) {
      by_type_rule.push_back(number);
    } else {
      for (const Alternative& alternative : type->alternatives) {
        by_type[alternative.text].push_back(number);
      }
    }
  }

  void collect_candidates(std::string_view type) {
    candidates = any_type;
    if (const auto exact = by_type.find(type); exact != by_type.end()) {
      candidates.insert(candidates.end(), exact->second.begin(), exact->second.end());
    }
    for (const auto number : by_type_rule) {
      if (protocol::text_matches(*subscriptions[number].branch.test_of("type"), type)) {
        candidates.push_back(number);
      }
    }
  }
};

Router::Router() : impl_(std::make_unique<Impl>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::subscribe(const std::string& function, protocol::Pattern pattern) {
  Impl& me = *impl_;
  const auto known = std::find(me.functions.begin(), me.functions.end(), function);
  const auto number = static_cast<std::uint32_t>(known - me.functions.begin());
  if (known == me.functions.end()) me.functions.push_back(function);
  for (Branch& branch : pattern.branches) me.subscribe(number, std::move(branch));
  me.remembered.clear();
}

const Route& Router::route(const protocol::EventView& event) {
  Impl& me = *impl_;
  if (const auto hit = me.remembered.find(event.type); hit != me.remembered.end()) {
    return *hit->second;
  }
  me.collect_candidates(event.type);
  me.matched.clear();
  LazyData data(me.parser, event);
  bool only_type = true;
  for (const auto number : me.candidates) {
    const Subscription& subscription = me.subscriptions[number];
    only_type = only_type && subscription.only_type;
    if (holds(subscription.branch, event, data)) me.matched.push_back(subscription.function);
  }
  std::sort(me.matched.begin(), me.matched.end());
  me.matched.erase(std::unique(me.matched.begin(), me.matched.end()), me.matched.end());

  const Route& route = me.intern(me.matched);
  if (only_type && me.remembered.size() < Impl::kRememberedTypesMax) {
    me.remembered.emplace(event.type, &route);
  }
  return route;
}

}  // namespace fanfare::broker

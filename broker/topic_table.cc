#include "broker/topic_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/nearest.h"
#include "base/size.h"
#include "protocol/ids.h"

namespace fanfare::broker {
namespace {

using nlohmann::ordered_json;

Result<void> check_size(const std::string& name, const Topic& topic) {
  if (topic.subscriptions.size() > kSubscriptionsMax) {
    return reject(
        fmt::format("{} would have over {} subscriptions: let further functions match "
                    "{{\"source\": [\"{}\"]}} in their manifests",
                    name, kSubscriptionsMax, protocol::source_of_topic(name)));
  }
  if (to_json(topic).size() <= store::kTopicDefinitionMax) return {};
  return reject(fmt::format("the filter policies of {} are over {} KiB together", name,
                            store::kTopicDefinitionMax / 1024));
}

// `file`: triggers.toml has it, too.
std::string answer_of(std::string_view name, std::string_view outcome, bool file) {
  return ordered_json{{"name", name}, {"outcome", outcome}, {"file", file}}.dump();
}

TopicChanges change_to(const std::string& name, std::optional<Topic> topic, std::string answer) {
  return {{{name, std::move(topic)}}, std::move(answer)};
}

// What operators ask for, of a topic of which neither flag is set if there is none. Clients ask
// again when an answer is lost: what is done already is no error.

TopicChanges add_topic(const std::string& name, Topic topic) {
  if (topic.from_operator) return {{}, answer_of(name, "unchanged", topic.from_file)};
  topic.from_operator = true;
  std::string answer = answer_of(name, "added", topic.from_file);
  return change_to(name, std::move(topic), std::move(answer));
}

TopicChanges remove_topic(const std::string& name, Topic topic) {
  const bool there = std::exchange(topic.from_operator, false);
  const auto gone =
      std::erase_if(topic.subscriptions, [](const Subscription& one) { return !one.from_file; });
  const ordered_json told{{"name", name},
                          {"outcome", there ? "removed" : "unchanged"},
                          {"subscriptions", gone},
                          {"file", topic.from_file}};
  std::string answer = told.dump();
  if (!there) return {{}, std::move(answer)};
  if (!topic.from_file) return change_to(name, std::nullopt, std::move(answer));
  return change_to(name, std::move(topic), std::move(answer));
}

TopicChanges unsubscribe(const std::string& name, Topic topic, const std::string& function) {
  auto& all = topic.subscriptions;
  const bool file = find_in(all, function, true) != all.end();
  const auto at = find_in(all, function, false);
  if (at == all.end()) return {{}, answer_of(name, "unchanged", file)};
  all.erase(at);
  return change_to(name, std::move(topic), answer_of(name, "unsubscribed", file));
}

TopicChanges subscribe(const std::string& name, Topic topic, Subscription subscription,
                       bool deployed) {
  auto& all = topic.subscriptions;
  const bool file = find_in(all, subscription.function, true) != all.end();
  const auto at = find_in(all, subscription.function, false);
  const bool has = at != all.end();
  const bool same = has && *at == subscription;
  const char* const outcome = same ? "unchanged" : has ? "replaced" : "subscribed";
  const ordered_json told{
      {"name", name}, {"outcome", outcome}, {"file", file}, {"deployed", deployed}};
  std::string answer = told.dump();
  if (same) return {{}, std::move(answer)};
  set_in(all, std::move(subscription));
  topic.from_operator = true;
  return change_to(name, std::move(topic), std::move(answer));
}

std::set<std::string> not_deployed(const Declared& declared,
                                   const TopicTable::IsDeployed& is_deployed) {
  std::set<std::string> missing;
  for (const auto& [name, subscriptions] : declared) {
    for (const Subscription& one : subscriptions) {
      if (!is_deployed(one.function)) missing.insert(one.function);
    }
  }
  return missing;
}

std::vector<Result<protocol::Pattern>> patterns_of(const std::string& name, const Topic& topic) {
  std::vector<Result<protocol::Pattern>> patterns;
  for (const Subscription& one : topic.subscriptions) {
    const auto text = protocol::subscription_pattern(name, one.filter, one.scope);
    patterns.push_back(text ? protocol::compile_pattern(*text)
                            : Result<protocol::Pattern>{text.error()});
  }
  return patterns;
}

// A topic once the file has, or has no more, these subscriptions.
std::optional<Topic> declared_anew(Topic topic, const std::vector<Subscription>* declared) {
  std::erase_if(topic.subscriptions, [](const Subscription& one) { return one.from_file; });
  topic.from_file = declared != nullptr;
  if (declared) {
    for (const Subscription& one : *declared) set_in(topic.subscriptions, one);
  }
  if (!topic.from_file && !topic.from_operator) return std::nullopt;
  return topic;
}

}  // namespace

Error too_many_topics(std::size_t topics_max) {
  return reject(fmt::format(
      "there would be over {} topics, the most there may be: remove some first", topics_max));
}

Result<void> TopicTable::load(const std::string& name, std::string_view definition) {
  auto topic = topic_from_json(definition);
  put({name, topic ? *topic : Topic{.from_operator = true}});
  return topic ? Result<void>{} : topic.error();
}

void TopicTable::put(TopicPut put) {
  if (const auto held = topics_.find(put.name); held != topics_.end()) {
    all_ -= size_of(put.name, held->second.topic);
    topics_.erase(held);
  }
  if (!put.topic) return;
  all_ += size_of(put.name, *put.topic);
  auto patterns = patterns_of(put.name, *put.topic);
  topics_.emplace(std::move(put.name), Held{*std::move(put.topic), std::move(patterns)});
}

TopicTable::Size& TopicTable::Size::operator+=(const Size& more) {
  topics += more.topics;
  subscriptions += more.subscriptions;
  bytes += more.bytes;
  return *this;
}

TopicTable::Size& TopicTable::Size::operator-=(const Size& less) {
  topics -= less.topics;
  subscriptions -= less.subscriptions;
  bytes -= less.bytes;
  return *this;
}

TopicTable::Size TopicTable::size_of(const std::string& name, const Topic& topic) {
  return {1, topic.subscriptions.size(), name.size() + to_json(topic).size()};
}

Result<void> TopicTable::room_for(const std::vector<TopicPut>& puts) const {
  Size after = all_;
  for (const TopicPut& put : puts) {
    if (const auto held = topics_.find(put.name); held != topics_.end()) {
      after -= size_of(put.name, held->second.topic);
    }
    if (!put.topic) continue;
    after += size_of(put.name, *put.topic);
    if (auto fine = check_size(put.name, *put.topic); !fine) return fine.error();
  }
  if (after.topics > std::max(all_.topics, bounds_.topics)) return too_many_topics(bounds_.topics);
  if (after.subscriptions > std::max(all_.subscriptions, bounds_.subscriptions)) {
    return reject(fmt::format(
        "there would be over {} subscriptions, the most there may be of all topics together: end "
        "some, or let functions match {{\"source\": [\"/topics/NAME\"]}} in their manifests",
        bounds_.subscriptions));
  }
  if (after.bytes > std::max(all_.bytes, bounds_.bytes)) {
    return reject(fmt::format(
        "the definitions of all topics would be over {} together, the most there may be: end "
        "subscriptions, or make their filter policies smaller",
        format_size(bounds_.bytes)));
  }
  return {};
}

Error TopicTable::unknown(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& [known, held] : topics_) names.push_back(known);
  const std::string meant = nearest(name, names);
  return reject(fmt::format(
      "no topic is named '{}'{}", name.substr(0, 64),
      meant.empty() ? "; `fanfare topic add` makes one" : "; did you mean " + meant + "?"));
}

Result<TopicChanges> TopicTable::declare(std::string_view text,
                                         const IsDeployed& is_deployed) const {
  auto declared = read_declared(ordered_json::parse(text, nullptr, false));
  if (!declared) return declared.error();
  TopicChanges changes;
  for (const auto& [name, held] : topics_) {
    const auto at = declared->find(name);
    auto wanted = declared_anew(held.topic, at == declared->end() ? nullptr : &at->second);
    if (wanted != held.topic) changes.puts.push_back({name, std::move(wanted)});
  }
  for (const auto& [name, subscriptions] : *declared) {
    if (!topics_.contains(name)) {
      changes.puts.push_back({name, declared_anew({}, &subscriptions)});
    }
  }
  std::ranges::stable_partition(changes.puts, [](const TopicPut& put) { return !put.topic; });
  changes.answer = ordered_json{{"topics", declared->size()},
                                {"changed", changes.puts.size()},
                                {"not_deployed", not_deployed(*declared, is_deployed)}}
                       .dump();
  return changes;
}

Result<TopicChanges> TopicTable::changes(std::string_view verb, std::string_view text,
                                         const IsDeployed& is_deployed) const {
  const ordered_json body = ordered_json::parse(text, nullptr, false);
  if (!body.is_object()) return reject("the body is not a JSON object");
  if (verb == "declare_topics") return declare(text, is_deployed);
  const auto named = body.find("name");
  const std::string name =
      named != body.end() && named->is_string() ? named->get<std::string>() : std::string{};
  if (!protocol::is_function_name(name)) {
    return reject(
        fmt::format("{} needs the topic's name, 1 to 64 of a-z, A-Z, 0-9, - and _", verb));
  }
  const auto held = topics_.find(name);
  Topic topic = held == topics_.end() ? Topic{} : held->second.topic;
  if (verb == "add_topic") return add_topic(name, std::move(topic));
  if (verb == "remove_topic") return remove_topic(name, std::move(topic));

  auto subscription = read_subscription(body);
  if (!subscription) return subscription.error();
  if (verb == "unsubscribe") return unsubscribe(name, std::move(topic), subscription->function);
  if (verb != "subscribe") return reject(fmt::format("unknown verb '{}'", verb));
  if (held == topics_.end()) return unknown(name);
  if (auto fine = check_policy(name, *subscription); !fine) return fine.error();
  const bool deployed = is_deployed(subscription->function);
  return subscribe(name, std::move(topic), *std::move(subscription), deployed);
}

std::vector<std::string> TopicTable::topics_of(std::string_view function) const {
  std::vector<std::string> names;
  for (const auto& [name, held] : topics_) {
    const auto& all = held.topic.subscriptions;
    const bool has = std::ranges::find(all, function, &Subscription::function) != all.end();
    if (has) names.push_back(name);
  }
  return names;
}

std::string TopicTable::answer(std::string_view wanted, const IsDeployed& is_deployed) const {
  ordered_json list = ordered_json::array();
  for (const auto& [name, held] : topics_) {
    if (!wanted.empty() && name != wanted) continue;
    const Topic& topic = held.topic;
    ordered_json json{{"name", name}, {"file", topic.from_file}, {"operator", topic.from_operator}};
    json["subscriptions"] = ordered_json::array();
    for (const Subscription& one : topic.subscriptions) {
      json["subscriptions"].push_back(json_of(one));
      json["subscriptions"].back()["deployed"] = is_deployed(one.function);
    }
    list.push_back(std::move(json));
  }
  return ordered_json{{"topics", std::move(list)}}.dump();
}

}  // namespace fanfare::broker

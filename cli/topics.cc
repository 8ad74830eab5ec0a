// fanfare topic list, show, add, remove, subscribe, unsubscribe, publish: asked of the broker.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "cli/ask.h"
#include "cli/event_input.h"
#include "cli/publish_event.h"
#include "cli/topic_verbs.h"
#include "protocol/filter_policy.h"
#include "protocol/notification_attributes.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

std::string count_of(const ordered_json& state, const char* key) {
  return state.is_object() && state.contains(key) ? state[key].dump() : std::string{"0"};
}

// What the broker's status says of each function.
std::map<std::string, ordered_json> functions_of(const ordered_json& status) {
  std::map<std::string, ordered_json> functions;
  for (const auto& one : status.value("functions", ordered_json::array())) {
    functions[text_of(one, "name")] = one;
  }
  return functions;
}

// Adds to each subscription how far its function is.
void add_states(ordered_json& topics, const std::map<std::string, ordered_json>& functions) {
  for (auto& topic : topics) {
    for (auto& subscription : topic["subscriptions"]) {
      const auto at = functions.find(text_of(subscription, "function"));
      const ordered_json state = at == functions.end() ? ordered_json::object() : at->second;
      const bool deployed = subscription.value("deployed", false);
      subscription["state"] = deployed ? text_of(state, "state") : "not deployed";
      subscription["queued"] =
          state.value("ready", std::int64_t{0}) + state.value("later", std::int64_t{0});
      subscription["running"] = state.value("running", std::int64_t{0});
      subscription["dead"] = state.value("dead", std::int64_t{0});
    }
  }
}

Error unknown_topic(const std::string& name, const std::string& meant) {
  return reject(fmt::format(
      "not_found: no topic is named '{}'{}", name,
      meant.empty() ? "; `fanfare topic add` makes one" : "; did you mean " + meant + "?"));
}

std::vector<std::string> names_in(const ordered_json& list, const char* key) {
  std::vector<std::string> names;
  for (const auto& one : list) names.push_back(text_of(one, key));
  return names;
}

// All, or the one of that name.
Result<ordered_json> read_topics(client::BlockingClient& broker, const std::string& name) {
  ordered_json which = ordered_json::object();
  if (!name.empty()) which["name"] = name;
  const auto answer = ask(broker, "topics", which);
  if (!answer) return answer.error();
  ordered_json topics = answer->value("topics", ordered_json::array());
  if (name.empty() || !topics.empty()) return topics;
  const auto all = read_topics(broker, "");  // to say which was meant
  return unknown_topic(name, all ? nearest(name, names_in(*all, "name")) : std::string{});
}

// Why a change of a subscription, or of the topic if no function is named, has found nothing to
// change, if that is because a name is misspelt. Otherwise somebody has been here before.
Result<void> check_spelling(client::BlockingClient& broker, const std::string& name,
                            const std::string& function) {
  const auto topics = read_topics(broker, "");
  if (!topics) return topics.error();
  const auto at = std::ranges::find_if(
      *topics, [&](const ordered_json& topic) { return text_of(topic, "name") == name; });
  if (at == topics->end()) {
    const std::string meant = nearest(name, names_in(*topics, "name"));
    if (!meant.empty()) return unknown_topic(name, meant);
    return {};
  }
  if (function.empty()) return {};
  const auto functions = ask(broker, "functions", ordered_json::object());
  if (!functions) return functions.error();
  const auto deployed = names_in(functions->value("functions", ordered_json::array()), "name");
  if (std::ranges::find(deployed, function) != deployed.end()) return {};
  const std::string meant = nearest(function, names_in((*at)["subscriptions"], "function"));
  if (meant.empty()) return {};
  return reject(fmt::format("not_found: {} was not subscribed to {}; did you mean {}?", function,
                            name, meant));
}

// With how far their subscribers are.
Result<ordered_json> read_topics_and_states(const Common& common, const std::string& name) {
  auto broker = connect_broker(common.address);
  if (!broker) return broker.error();
  auto topics = read_topics(**broker, name);
  if (!topics) return topics;
  const auto status = ask(**broker, "status", ordered_json::object());
  if (!status) return status.error();
  add_states(*topics, functions_of(*status));
  return topics;
}

std::string filter_text(const ordered_json& subscription) {
  if (!subscription.contains("filter")) return "everything";
  const bool of_body = text_of(subscription, "filter_scope") == "body";
  return (of_body ? "body " : "") + subscription["filter"].dump();
}

// Which sides want it: triggers.toml and operators each have their own.
std::string origins_of(const ordered_json& topic) {
  const bool file = topic.value("file", false), operators = topic.value("operator", !file);
  return fmt::format("{}{}{}", file ? "triggers.toml" : "", file && operators ? ", " : "",
                     operators ? "operator" : "");
}

void print_topics(const Common& common, const ordered_json& topics) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& topic : topics) {
    std::string name = text_of(topic, "name");
    if (topic["subscriptions"].empty()) {
      rows.push_back({name, "(nobody)", "", "", "", "", "", origins_of(topic)});
    }
    std::string before;  // who subscribes twice has one queue
    for (const auto& one : topic["subscriptions"]) {
      const std::string function = text_of(one, "function");
      const std::string from = one.value("file", false) ? "triggers.toml" : "operator";
      if (function == before) {
        rows.push_back({"", "", filter_text(one), "", "", "", "", from});
        continue;
      }
      rows.push_back({name, function, filter_text(one), text_of(one, "state"),
                      count_of(one, "queued"), count_of(one, "running"), count_of(one, "dead"),
                      from});
      name.clear();
      before = function;
    }
  }
  fmt::print("{}", format_table({"TOPIC", "SUBSCRIBER", "FILTER", "STATE", "QUEUED", "RUNNING",
                                 "DEAD", "FROM"},
                                rows, common.output.colour_out));
}

using Words = std::function<std::string(const ordered_json& answer)>;

int say_change(const Common& common, const Result<ordered_json>& answer, const Words& words) {
  if (!answer) return fail(common.output, answer.error());
  print_line(common.output.json ? answer->dump() : words(*answer));
  return kDone;
}

int change(const Common& common, const std::string& verb, const ordered_json& body,
           const Words& words) {
  return say_change(common, ask(common, verb, body), words);
}

bool is_unchanged(const ordered_json& answer) {
  return text_of(answer, "outcome") == "unchanged";
}

// What triggers.toml has stays, whatever operators take back.
constexpr const char* kChangeTheFile = "change it there and start fanfare-triggers again";

// A change that takes something away. `of_the_file` names it, for the case that nothing of it is
// the operators'.
int undo(const Common& common, const std::string& verb, const ordered_json& body,
         const std::string& of_the_file, const Words& words) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  auto answer = ask(**broker, verb, body);
  if (answer && is_unchanged(*answer)) {
    if (answer->value("file", false)) {
      answer = reject(fmt::format("{} is of triggers.toml: {}", of_the_file, kChangeTheFile));
    } else if (const auto spelt =
                   check_spelling(**broker, text_of(body, "name"), text_of(body, "function"));
               !spelt) {
      answer = spelt.error();
    }
  }
  return say_change(common, answer, words);
}

// It may come, or be misspelt.
void note_not_deployed(client::BlockingClient& broker, const SubscribeCommand& command) {
  const auto functions = ask(broker, "functions", ordered_json::object());
  const std::string meant =
      functions ? nearest(command.function,
                          names_in(functions->value("functions", ordered_json::array()), "name"))
                : std::string{};
  fmt::print(stderr,
             "fanfare: note: no function is named '{}'; once one is deployed, it gets what is "
             "published from then on{}\n",
             command.function, meant.empty() ? "" : "; did you mean " + meant + "?");
}

Result<ordered_json> subscription_of(const SubscribeCommand& command) {
  ordered_json body{{"name", command.topic}, {"function", command.function}};
  if (!command.filter_scope.empty()) body["filter_scope"] = command.filter_scope;
  if (command.filter.empty()) {
    if (command.filter_scope.empty()) return body;
    return fatal("--filter-scope says what --filter is about, which is missing");
  }
  auto policy = read_data(command.filter, "--filter", protocol::kFilterPolicyBytesMax);
  if (!policy) return policy.error();
  if (policy->find_first_not_of(" \t\r\n") == policy->npos) {
    return fatal("--filter: there is nothing in it; a policy that wants everything is {}");
  }
  // Here already, before anybody is asked.
  const auto scope = protocol::parse_filter_scope(
      command.filter_scope.empty() ? "attributes" : command.filter_scope);
  if (!scope) return fatal(scope.error().message);
  if (auto fine = protocol::subscription_pattern(command.topic, *policy, *scope); !fine) {
    return fatal("--filter: " + fine.error().message);
  }
  body["filter"] = ordered_json::parse(*policy);
  return body;
}

// As JSON where a value is of a kind that text is not.
ordered_json attribute_of(const std::string& text) {
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  const bool is_other = json.is_number() || json.is_boolean() || json.is_null() || json.is_array();
  return is_other ? json : ordered_json(text);
}

Result<protocol::Event> notification_of(const TopicPublishCommand& command) {
  EventFlags flags = command.event;
  flags.type = protocol::kNotificationType;
  flags.source = protocol::source_of_topic(command.topic);
  auto event = make_event(flags);
  if (!event) return event;
  ordered_json attributes = ordered_json::object();
  for (const std::string& attribute : command.attributes) {
    const auto equals = attribute.find('=');
    if (equals == 0 || equals == attribute.npos) {
      return fatal(fmt::format("--attribute takes NAME=VALUE, not '{}'", attribute));
    }
    attributes[attribute.substr(0, equals)] = attribute_of(attribute.substr(equals + 1));
  }
  if (!attributes.empty()) {
    event->extensions.emplace_back(
        protocol::kNotificationAttributes,
        attributes.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  }
  return event;
}

}  // namespace

int run_topic_list(const Common& common) {
  const auto topics = read_topics_and_states(common, "");
  if (!topics) return fail(common.output, topics.error());
  if (common.output.json) {
    print_line(topics->dump());
  } else if (topics->empty()) {
    print_line("no topics; `fanfare topic add NAME` makes one");
  } else {
    print_topics(common, *topics);
  }
  return kDone;
}

int run_topic_show(const Common& common, const std::string& name) {
  const auto topics = read_topics_and_states(common, name);
  if (!topics) return fail(common.output, topics.error());
  if (common.output.json) {
    print_line((*topics)[0].dump());
  } else {
    print_topics(common, *topics);
  }
  return kDone;
}

int run_topic_add(const Common& common, const std::string& name) {
  return change(common, "add_topic", {{"name", name}}, [&](const ordered_json& answer) {
    return text_of(answer, "outcome") == "added"
               ? fmt::format(
                     "{} added; `fanfare topic subscribe {} FUNCTION` gives it a subscriber", name,
                     name)
               : name + " is there already";
  });
}

int run_topic_remove(const Common& common, const std::string& name) {
  return undo(common, "remove_topic", {{"name", name}}, name, [&](const ordered_json& answer) {
    if (is_unchanged(answer)) return name + " is not there";
    const auto subscriptions = answer.value("subscriptions", std::size_t{0});
    const std::string with =
        subscriptions == 0
            ? ""
            : fmt::format(", with {} subscription{}", subscriptions, subscriptions == 1 ? "" : "s");
    if (!answer.value("file", false)) return fmt::format("{} removed{}", name, with);
    return fmt::format(
        "what operators had of {} is removed{}; the topic stays, as triggers.toml has it: {}", name,
        with, kChangeTheFile);
  });
}

int run_topic_subscribe(const Common& common, const SubscribeCommand& command) {
  const auto body = subscription_of(command);
  if (!body) return fail(common.output, body.error());
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto answer = ask(**broker, "subscribe", *body);
  const int code = say_change(common, answer, [&](const ordered_json& told) {
    const std::string outcome = text_of(told, "outcome");
    std::string words = fmt::format("{} subscribes to {}", command.function, command.topic);
    if (outcome == "replaced") words += " with another filter";
    if (outcome == "unchanged") words += " already";
    if (told.value("file", false)) {
      words += "; triggers.toml subscribes it, too: it gets what either wants";
    }
    return words;
  });
  if (answer && !answer->value("deployed", true)) note_not_deployed(**broker, command);
  return code;
}

int run_topic_unsubscribe(const Common& common, const SubscribeCommand& command) {
  const ordered_json body{{"name", command.topic}, {"function", command.function}};
  const std::string of_the_file =
      fmt::format("the subscription of {} to {}", command.function, command.topic);
  return undo(common, "unsubscribe", body, of_the_file, [&](const ordered_json& answer) {
    if (is_unchanged(answer)) {
      return fmt::format("{} does not subscribe to {}", command.function, command.topic);
    }
    if (answer.value("file", false)) {
      return fmt::format(
          "the operators' subscription of {} to {} is gone; that of triggers.toml stays: {}",
          command.function, command.topic, kChangeTheFile);
    }
    return fmt::format("{} does not subscribe to {} any more", command.function, command.topic);
  });
}

int run_topic_publish(const Common& common, const TopicPublishCommand& command) {
  const auto event = notification_of(command);
  if (!event) return fail(common.output, event.error());
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  // Published it would be, and reach nobody.
  const auto known = read_topics(**broker, command.topic);
  if (!known) return fail(common.output, known.error());
  return publish_event(common, **broker, *event, command.wait);
}

}  // namespace fanfare::cli

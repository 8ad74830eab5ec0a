#include "cli/topic_verbs.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/event_flags.h"

namespace fanfare::cli {
namespace {

using OfTopic = int (*)(const Common& common, const std::string& name);

void add_of_topic(CLI::App& verb, Run& run, const char* word, const char* help, OfTopic of_topic) {
  CLI::App* one = verb.add_subcommand(word, help);
  auto name = std::make_shared<std::string>();
  one->add_option("topic", *name)->required();
  one->callback([name, of_topic, &run] {
    run = [name, of_topic](const Common& common) { return of_topic(common, *name); };
  });
}

void add_subscribe(CLI::App& verb, Run& run) {
  CLI::App* subscribe = verb.add_subcommand(
      "subscribe", "Let a function have what is published; once more, with another filter");
  auto command = std::make_shared<SubscribeCommand>();
  subscribe->add_option("topic", command->topic)->required();
  subscribe->add_option("function", command->function, "Its name; it may be deployed later")
      ->required();
  subscribe->add_option("--filter", command->filter,
                        "Filter policy as of Amazon SNS: JSON, or @FILE (default: everything)");
  subscribe
      ->add_option("--filter-scope", command->filter_scope,
                   "What the policy is about: attributes (the default), or body, the data")
      ->check(CLI::IsMember({"attributes", "body"}));
  subscribe->footer(
      "Examples:\n"
      "  fanfare topic subscribe orders wordcount\n"
      "  fanfare topic subscribe orders store-form --filter '{\"store\": [\"berlin\"], \"price\": "
      "[{\"numeric\": [\">=\", 100]}]}'\n"
      "  fanfare topic subscribe orders wordcount --filter-scope body --filter '{\"items\": "
      "{\"kind\": "
      "[\"shirt\"]}}'");
  subscribe->callback([command, &run] {
    run = [command](const Common& common) { return run_topic_subscribe(common, *command); };
  });
}

void add_unsubscribe(CLI::App& verb, Run& run) {
  CLI::App* unsubscribe = verb.add_subcommand(
      "unsubscribe", "The function gets no more of it; what waits for it already stays");
  auto command = std::make_shared<SubscribeCommand>();
  unsubscribe->add_option("topic", command->topic)->required();
  unsubscribe->add_option("function", command->function)->required();
  unsubscribe->callback([command, &run] {
    run = [command](const Common& common) { return run_topic_unsubscribe(common, *command); };
  });
}

void add_topic_publish(CLI::App& verb, Run& run) {
  CLI::App* publish = verb.add_subcommand("publish", "Publish a notification");
  struct Words {
    TopicPublishCommand command;
    std::string wait;
    std::optional<std::string> text;
  };
  auto words = std::make_shared<Words>();
  TopicPublishCommand& command = words->command;
  publish->add_option("topic", command.topic)->required();
  publish->add_option("text", words->text, "The message, as --data takes it");
  add_data_flags(*publish, command.event);
  publish->add_option("--subject", command.event.subject, "What it is about, in a line");
  publish->add_option("--attribute", command.attributes,
                      "NAME=VALUE, for filter policies; numbers, true, false, null and [arrays] "
                      "are read as JSON; may be given again");
  add_wait_flag(*publish, words->wait);
  publish->footer(
      "Examples:\n"
      "  fanfare topic publish orders '{\"order\": 7}' --attribute store=berlin --attribute "
      "price=120\n"
      "  fanfare topic publish orders --data-file order.json --wait\n"
      "  jq .order all.json | fanfare topic publish orders --data - --subject 'A new order' "
      "--wait=2m");
  publish->callback([words, &run] {
    EventFlags& event = words->command.event;
    if (words->text && event.data) {
      throw CLI::ValidationError("the message is there twice: as a word, and by --data");
    }
    if (words->text) event.data = words->text;
    if (!event.data) {
      throw CLI::ValidationError(
          "the message is missing: --data TEXT, --data-file FILE, or "
          "--data - for standard input");
    }
    if (!words->wait.empty()) words->command.wait = *parse_duration(words->wait);
    run = [words](const Common& common) { return run_topic_publish(common, words->command); };
  });
}

}  // namespace

void add_topic_verbs(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand(
      "topic",
      "Notifications: topics, who subscribes to them: list, show, add, remove, subscribe, "
      "unsubscribe, publish");
  verb->require_subcommand(1);
  verb->footer(
      "Examples:\n"
      "  fanfare topic add orders\n"
      "  fanfare topic subscribe orders wordcount\n"
      "  curl -d '{\"order\": 7}' http://127.0.0.1:8080/topics/orders\n"
      "A subscriber is a function: its retries, dead letters and pauses are the function's.\n"
      "triggers.toml has its own topics and subscriptions, which are changed there; what either\n"
      "side takes back stays if the other wants it, too.");
  verb->add_subcommand("list", "Topics, their subscribers, and how far these are")
      ->callback([&run] { run = run_topic_list; });
  add_of_topic(*verb, run, "show", "The same of one topic", run_topic_show);
  add_of_topic(*verb, run, "add", "Make a topic; the same once more changes nothing",
               run_topic_add);
  add_of_topic(*verb, run, "remove",
               "The topic and its subscriptions go; what waits for functions stays",
               run_topic_remove);
  add_subscribe(*verb, run);
  add_unsubscribe(*verb, run);
  add_topic_publish(*verb, run);
}

}  // namespace fanfare::cli

// fanfare topic: topics, and which functions subscribe to what is published to them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/operator_verbs.h"

namespace fanfare::cli {

struct SubscribeCommand {
  std::string topic, function;
  std::string filter;        // JSON or @FILE; empty = everything
  std::string filter_scope;  // attributes | body; empty = attributes
};
struct TopicPublishCommand {
  std::string topic;
  EventFlags event;                     // data, content_type, subject
  std::vector<std::string> attributes;  // NAME=VALUE
  std::optional<Duration> wait;
};
int run_topic_list(const Common& common);
int run_topic_show(const Common& common, const std::string& name);
int run_topic_add(const Common& common, const std::string& name);
int run_topic_remove(const Common& common, const std::string& name);
int run_topic_subscribe(const Common& common, const SubscribeCommand& command);
int run_topic_unsubscribe(const Common& common, const SubscribeCommand& command);
int run_topic_publish(const Common& common, const TopicPublishCommand& command);

// Whichever of them is chosen puts itself into `run`, which must outlive `app`'s parsing.
void add_topic_verbs(CLI::App& app, Run& run);

}  // namespace fanfare::cli

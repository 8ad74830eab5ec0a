// fanfare webhook: who is told by HTTP what happens here.
#pragma once

#include <string>
#include <vector>

#include "cli/operator_verbs.h"
#include "cli/webhook_definition.h"

namespace fanfare::cli {

struct AddWebhookCommand {
  WebhookDefinition definition;  // without what the following say
  std::string url;               // or @FILE, or - for standard input
  std::vector<std::string> on;   // patterns, or types
  std::string timeout = "20s";
  bool new_secret = false, not_signed = false;
};
int run_webhook_add(const Common& common, const AddWebhookCommand& command);

struct RotateWebhookCommand {
  std::string name;
  bool finish = false;
};
int run_webhook_rotate(const Common& common, const RotateWebhookCommand& command);

int run_webhook_list(const Common& common);
int run_webhook_remove(const Common& common, const std::string& name);
int run_webhook_enable(const Common& common, const std::string& name);
int run_webhook_disable(const Common& common, const std::string& name);
int run_webhook_test(const Common& common, const std::string& name);

// Whichever of them is chosen puts itself into `run`, which must outlive `app`'s parsing.
void add_webhook_verbs(CLI::App& app, Run& run);

}  // namespace fanfare::cli

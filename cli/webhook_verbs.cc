#include "cli/webhook_verbs.h"

#include <CLI/CLI.hpp>
#include <memory>

namespace fanfare::cli {
namespace {

CLI::Validator webhook_timeout() {
  return CLI::Validator(
      [](const std::string& text) {
        using namespace std::chrono_literals;
        const auto duration = parse_duration(text);
        if (!duration) return duration.error().message;
        return *duration >= 1s && *duration <= 5min ? std::string{} : "1s to 5m";
      },
      "DURATION");
}

void add_webhook_secrets(CLI::App& add, AddWebhookCommand& command) {
  CLI::Option* made =
      add.add_flag("--new-secret", command.new_secret, "Make a secret, and print it this once");
  CLI::Option* file = add.add_option("--secret-file", command.definition.secret_file,
                                     "The secret lies in this file on the workers' hosts");
  CLI::Option* none =
      add.add_flag("--unsigned", command.not_signed, "Receivers cannot tell who has sent it");
  made->excludes(none);  // with a file it is refused in more words
  file->excludes(none);
}

void add_webhook_add(CLI::App& verb, Run& run) {
  CLI::App* add = verb.add_subcommand(
      "add", "Post events to a URL, or change how; the same once more changes nothing");
  auto command = std::make_shared<AddWebhookCommand>();
  WebhookDefinition& definition = command->definition;
  add->add_option("name", definition.name, "As a function's, which it becomes")->required();
  add->add_option("--url", command->url,
                  "https://…; if it holds secrets: @FILE, or - for standard input")
      ->required();
  add->add_option(
         "--on", command->on,
         "Which events: a type as 'order.*', or a pattern as in [[on]]; may be given again")
      ->expected(1)
      ->take_all();
  add_webhook_secrets(*add, *command);
  add->add_option(
         "--format", definition.format,
         "event, cloudevents (structured), cloudevents-binary, or sns: as Amazon SNS posts")
      ->check(CLI::IsMember({"event", "cloudevents", "cloudevents-binary", "sns"}))
      ->capture_default_str();
  add->add_flag("--allow-private", definition.allow_private,
                "Also to this machine and the networks around it");
  add->add_option("--timeout", command->timeout, "Of one request")
      ->check(webhook_timeout())
      ->capture_default_str();
  add->add_option("--concurrency", definition.concurrency, "Requests at once, over all workers")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add->add_option("--retry", definition.retry,
                  "Profile: webhook (10 attempts in 3 days), standard, lambda or none")
      ->check(CLI::IsMember({"webhook", "standard", "lambda", "none"}))
      ->capture_default_str();
  add->footer(
      "Examples:\n"
      "  fanfare webhook add billing --url https://example.org/hooks --new-secret --on 'order.*'\n"
      "  fanfare webhook add audit --url https://example.org/ce --format cloudevents \\\n"
      "    --secret-file /etc/fanfare/audit.secret --on '{\"source\": [{\"prefix\": \"/shop\"}]}'\n"
      "  fanfare webhook add chat --url @/run/secrets/chat.url --unsigned --on 'order.*'\n"
      "Without a word about secrets, one that is there keeps its secret.");
  add->callback([command, &run] {
    command->definition.timeout = *parse_duration(command->timeout);
    run = [command](const Common& common) { return run_webhook_add(common, *command); };
  });
}

void add_webhook_rotate(CLI::App& verb, Run& run) {
  CLI::App* rotate = verb.add_subcommand(
      "rotate", "A new secret; messages are signed with the old one, too, until --finish");
  auto command = std::make_shared<RotateWebhookCommand>();
  rotate->add_option("name", command->name)->required();
  rotate->add_flag("--finish", command->finish, "Receivers have the new one: drop the old one");
  rotate->footer(
      "A secret in a file is changed there, the new one in the first line, the old one in the\n"
      "second; then `fanfare webhook rotate NAME` has the workers read it again.");
  rotate->callback([command, &run] {
    run = [command](const Common& common) { return run_webhook_rotate(common, *command); };
  });
}

void add_webhook_verb(CLI::App& verb, Run& run, const char* word, const char* what,
                      int (*act)(const Common&, const std::string&)) {
  CLI::App* added = verb.add_subcommand(word, what);
  auto name = std::make_shared<std::string>();
  added->add_option("name", *name)->required();
  added->callback([name, act, &run] {
    run = [name, act](const Common& common) { return act(common, *name); };
  });
}

}  // namespace

void add_webhook_verbs(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand(
      "webhook", "Events to others by HTTP: list, add, test, rotate, enable, disable, remove");
  verb->require_subcommand(1);
  verb->add_subcommand("list", "Webhooks, what they are sent, and how they do")->callback([&run] {
    run = run_webhook_list;
  });
  add_webhook_add(*verb, run);
  add_webhook_verb(*verb, run, "test", "Send one signed message now, and show the answer",
                   run_webhook_test);
  add_webhook_rotate(*verb, run);
  add_webhook_verb(*verb, run, "enable", "Send again, after a 410 or `disable`",
                   run_webhook_enable);
  add_webhook_verb(*verb, run, "disable",
                   "Send nothing: events are skipped, not kept (`functions pause` keeps them)",
                   run_webhook_disable);
  add_webhook_verb(*verb, run, "remove", "It is sent nothing more", run_webhook_remove);
}

}  // namespace fanfare::cli

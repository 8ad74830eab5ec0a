#include "triggers/definitions.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/nearest.h"
#include "base/size.h"
#include "protocol/ids.h"
#include "triggers/schedule_json.h"
#include "triggers/upload_folder.h"

namespace fanfare::triggers {
namespace {

// ---- values; an error is the reason only ----

Result<void> read_text(const toml::node& node, std::string& target) {
  const auto text = node.value_exact<std::string>();
  if (!text) return reject("must be a text");
  target = *text;
  return {};
}

Result<void> read_texts(const toml::node& node, std::vector<std::string>& target) {
  const toml::array* const list = node.as_array();
  target.clear();
  for (std::size_t i = 0; list && i < list->size(); ++i) {
    const auto text = (*list)[i].value_exact<std::string>();
    if (!text) return reject("must be a list of texts");
    target.push_back(*text);
  }
  if (!list) return reject("must be a list of texts");
  return {};
}

Result<void> read_bytes(const toml::node& node, std::size_t& target, std::size_t max) {
  const auto number = node.value_exact<std::int64_t>();
  const auto text = node.value_exact<std::string>();
  if (!number && !text) return reject("must be a size like \"256KiB\"");
  const auto size = parse_size(number ? std::to_string(*number) : *text);
  if (!size) return size.error();
  if (*size < 1 || *size > max)
    return reject(fmt::format("must be from 1 to {}", format_size(max)));
  target = *size;
  return {};
}

Result<void> read_count(const toml::node& node, std::uint32_t& target, std::uint32_t max) {
  const auto number = node.value_exact<std::int64_t>();
  if (!number || *number < 0 || *number > max) {
    return reject(fmt::format("must be a whole number from 0 to {}", max));
  }
  target = static_cast<std::uint32_t>(*number);
  return {};
}

Result<void> read_flag(const toml::node& node, bool& target) {
  const auto flag = node.value_exact<bool>();
  if (!flag) return reject("must be true or false");
  target = *flag;
  return {};
}

Result<void> read_duration(const toml::node& node, Duration& target, Duration min) {
  const auto text = node.value_exact<std::string>();
  const auto duration = text ? parse_duration(*text) : Result<Duration>(reject(""));
  if (!duration || *duration < min) {
    return reject(
        fmt::format("must be a duration like \"30s\", at least {}", format_duration(min)));
  }
  target = *duration;
  return {};
}

// ---- the keys of each kind, in the sample's order ----

constexpr std::size_t kFileBytesCeiling = std::size_t{1} << 40;

template <typename Definition>
struct Key {
  const char* name;
  Result<void> (*read)(const toml::node& node, Definition& into);
  const char* sample;  // the default, as TOML
  const char* doc;
};

constexpr Key<FormDefinition> kFormKeys[] = {
    {"max_bytes",
     [](const toml::node& node, FormDefinition& form) {
       return read_bytes(node, form.bytes_max, 6u << 20);
     },
     "\"256KiB\"", "Largest submission, without files; more is answered with 413."},
    {"per_minute",
     [](const toml::node& node, FormDefinition& form) {
       return read_count(node, form.per_minute_max, 1'000'000);
     },
     "60", "Submissions that one address may send in a minute; then 429. 0 = no limit."},
    {"origins",
     [](const toml::node& node, FormDefinition& form) { return read_texts(node, form.origins); },
     "[]",
     "Pages that may submit and read the answer, as \"https://example.org\"; \"*\" = all. Empty:\n"
     "any page may submit, and no page's script reads the answer."},
    {"next",
     [](const toml::node& node, FormDefinition& form) {
       if (auto read = read_texts(node, form.next); !read) return read;
       for (const std::string& beginning : form.next) {
         const std::size_t host = beginning.find("://");
         if (host == beginning.npos || beginning.find('/', host + 3) == beginning.npos) {
           return Result<void>{
               reject("must be addresses up to a slash, as \"https://example.org/\"")};
         }
       }
       return Result<void>{};
     },
     "[]",
     "Where the field _next may lead a browser afterwards: beginnings of addresses, as\n"
     "\"https://example.org/\"."},
    {"honeypot",
     [](const toml::node& node, FormDefinition& form) { return read_text(node, form.honeypot); },
     "\"_gotcha\"",
     "A field that people leave empty: whoever fills it in is answered, and nothing is published."},
    {"tenant",
     [](const toml::node& node, FormDefinition& form) { return read_text(node, form.tenant); },
     "\"\"", "Whose the events are, for fairness and usage."},
    {"bucket",
     [](const toml::node& node, FormDefinition& form) { return read_text(node, form.bucket); },
     "\"\"",
     "Where its files go: the name of a bucket that is defined below. Empty: it takes none."},
    {"max_files",
     [](const toml::node& node, FormDefinition& form) {
       std::uint32_t count = 0;
       const auto read = read_count(node, count, 1000);
       form.files_max = count;
       return read;
     },
     "10", "Files in a submission; more are answered with 413."},
    {"max_file_bytes",
     [](const toml::node& node, FormDefinition& form) {
       return read_bytes(node, form.file_bytes_max, kFileBytesCeiling);
     },
     "\"10MiB\"", "Largest file."},
    {"max_files_bytes",
     [](const toml::node& node, FormDefinition& form) {
       return read_bytes(node, form.files_bytes_max, kFileBytesCeiling);
     },
     "\"50MiB\"", "All files of a submission together."},
};

constexpr Key<UrlDefinition> kUrlKeys[] = {
    {"public",
     [](const toml::node& node, UrlDefinition& url) {
       const auto flag = node.value_exact<bool>();
       if (!flag) return Result<void>{reject("must be true or false")};
       url.is_public = *flag;
       return Result<void>{};
     },
     "false", "Whether everybody may call it, without a token."},
    {"origins",
     [](const toml::node& node, UrlDefinition& url) { return read_texts(node, url.origins); }, "[]",
     "Pages whose scripts may call it and read the answer, as \"https://example.org\"; \"*\" = "
     "all."},
};

// What a definition says before its secrets can be read as keys.
struct WebhookText {
  WebhookDefinition definition;
  std::vector<std::string> secrets;
};

constexpr Key<WebhookText> kWebhookKeys[] = {
    {"scheme",
     [](const toml::node& node, WebhookText& webhook) {
       const auto text = node.value_exact<std::string>();
       const bool github = text == "github";
       if (!github && text != "standard") {
         return Result<void>{reject("must be \"standard\" or \"github\"")};
       }
       webhook.definition.scheme = github ? WebhookScheme::kGithub : WebhookScheme::kStandard;
       return Result<void>{};
     },
     "\"standard\"",
     "How its messages are signed: \"standard\" (Standard Webhooks) or \"github\"."},
    {"secrets",
     [](const toml::node& node, WebhookText& webhook) { return read_texts(node, webhook.secrets); },
     "[\"whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxl\"]",
     "What it signs with; two while one is being replaced by the other. \"whsec_…\" for Standard\n"
     "Webhooks, at least 16 characters for GitHub. Put the file into nobody else's hands."},
    {"tolerance",
     [](const toml::node& node, WebhookText& webhook) {
       const auto text = node.value_exact<std::string>();
       const auto duration = text ? parse_duration(*text) : reject("must be a time like \"5m\"");
       if (!duration) return Result<void>{duration.error()};
       webhook.definition.tolerance = *duration;
       return Result<void>{};
     },
     "\"5m\"", "How far the time of a message may be from now (standard)."},
    {"tenant",
     [](const toml::node& node, WebhookText& webhook) {
       return read_text(node, webhook.definition.tenant);
     },
     "\"\"", "Whose the events are, for fairness and usage."},
};

constexpr Key<StorageBucketOptions> kBucketKeys[] = {
    {"directory",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_text(node, bucket.directory);
     },
     "\"/srv/photos\"", "What is watched, with all below it. An absolute path; it has no default."},
    {"watch",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_flag(node, bucket.watched);
     },
     "true", "Whether its files are announced; else it is a place for files of forms."},
    {"ignore",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_texts(node, bucket.ignore);
     },
     "[\".*\", \"*.part\", \"*.tmp\"]", "Names that are none of the bucket's, as shell patterns."},
    {"existing",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_flag(node, bucket.core.announce_existing);
     },
     "true", "Whether what is there when the bucket is watched for the first time is announced."},
    {"ordered",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_flag(node, bucket.events.ordered);
     },
     "false", "Whether events of one file run one after the other, in order."},
    {"settle",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_duration(node, bucket.core.settle, std::chrono::milliseconds{20});
     },
     "\"5s\"", "How long a file must not have changed where nobody can tell who writes it."},
    {"poll",
     [](const toml::node& node, StorageBucketOptions& bucket) {
       return read_duration(node, bucket.poll, std::chrono::seconds{1});
     },
     "\"30s\"", "How often all is scanned while something cannot be watched or read."},
};

// A schedule's definition as JSON, as it lies in Redis: that is judged whole.
using ScheduleText = nlohmann::ordered_json;

Result<void> read_member(const toml::node& node, ScheduleText& schedule, const char* name) {
  std::ostringstream json;
  node.visit([&json](const auto& value) { json << toml::json_formatter{value}; });
  schedule[name] = ScheduleText::parse(json.str(), nullptr, false);
  return {};
}

constexpr Key<ScheduleText> kScheduleKeys[] = {
    {"expression",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "expression");
     },
     "\"cron(0 3 * * ? *)\"",
     "When: \"rate(5 minutes)\", \"cron(0 3 * * ? *)\", \"0 3 * * *\" or "
     "\"at(2026-12-24T18:00:00)\".\nIt has no default."},
    {"zone",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "zone");
     },
     "\"UTC\"", "Whose clocks: \"Europe/Berlin\"."},
    {"start",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "start");
     },
     "\"\"", "Nothing before it: \"2026-12-01T00:00:00Z\"."},
    {"end",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "end");
     },
     "\"\"", "Nothing after it."},
    {"jitter",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "jitter");
     },
     "\"0s\"", "Each instant fires up to this much later, always by the same."},
    {"missed",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "missed");
     },
     "\"fire_once\"",
     "Of instants that were missed: \"skip\" none, \"fire_once\" the last one, \"catch_up\" "
     "all."},
    {"catch_up_max",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "catch_up_max");
     },
     "100", "Of \"catch_up\": the last so many, up to 1000."},
    {"overlap",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "overlap");
     },
     "\"allow\"", "\"skip\": one run at a time; what cannot begin before the next is skipped."},
    {"data",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "data");
     },
     "\"\"", "The event's; left out: which schedule and instant it is, as JSON."},
    {"content_type",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "content_type");
     },
     "\"\"", "The data's."},
    {"attributes",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "attributes");
     },
     "{}", "The event's extensions: { region = \"north\" }."},
    {"tenant",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "tenant");
     },
     "\"\"", "Whose the events are, for fairness and usage."},
    {"ordering_key",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "ordering_key");
     },
     "\"\"", "Events of one key run one after the other, in order."},
    {"enabled",
     [](const toml::node& node, ScheduleText& schedule) {
       return read_member(node, schedule, "enabled");
     },
     "true", "Whether it fires."},
};

constexpr Key<TopicDefinition> kTopicKeys[] = {
    {"tenant",
     [](const toml::node& node, TopicDefinition& topic) { return read_text(node, topic.tenant); },
     "\"\"", "Whose the events are, for fairness and usage."},
    {"subscriptions",
     [](const toml::node& node, TopicDefinition& topic) {
       std::ostringstream json;
       if (node.is_array()) json << toml::json_formatter{*node.as_array()};
       return read_subscriptions(json.str(), topic);
     },
     "[]",
     "The functions that get what is published; instead of [] each as\n"
     "  [[topics.orders.subscriptions]]\n"
     "  function = \"mail\"\n"
     "  filter = { store = [\"berlin\"], price = [{ numeric = [\">=\", 100] }] }\n"
     "  filter_scope = \"attributes\"   # or \"body\": the policy is about the data\n"
     "Those that `fanfare topic subscribe` has added are there as well."},
};

class Reader {
 public:
  Reader(const toml::table& root, std::string_view file) : root_(root), file_(file) {}

  Result<Definitions> read() {
    for (const auto& [name, node] : root_) {
      if (name.str() == "forms") {
        const auto read = read_kind(node, "forms", std::span<const Key<FormDefinition>>{kFormKeys},
                                    definitions_.forms);
        if (!read) return read.error();
      } else if (name.str() == "urls") {
        const auto read = read_kind(node, "urls", std::span<const Key<UrlDefinition>>{kUrlKeys},
                                    definitions_.urls);
        if (!read) return read.error();
      } else if (name.str() == "webhooks") {
        if (const auto read = read_webhooks(node); !read) return read.error();
      } else if (name.str() == "schedules") {
        if (const auto read = read_schedules(node); !read) return read.error();
      } else if (name.str() == "topics") {
        if (const auto read = read_topics(node); !read) return read.error();
      } else if (name.str() == "buckets") {
        const auto read =
            read_kind(node, "buckets", std::span<const Key<StorageBucketOptions>>{kBucketKeys},
                      definitions_.buckets);
        if (!read) return read.error();
      } else {
        return unknown(std::string{name.str()}, name.source(),
                       {"forms", "urls", "webhooks", "topics", "schedules", "buckets"});
      }
    }
    if (const auto checked = check_buckets_of_forms(); !checked) return checked.error();
    return std::move(definitions_);
  }

 private:
  Error wrong(const toml::source_region& where, const std::string& what) const {
    return reject(fmt::format("{}:{}:{}: {}", file_, where.begin.line, where.begin.column, what));
  }
  Error unknown(const std::string& key, const toml::source_region& where,
                const std::vector<std::string>& known) const {
    const std::string near = nearest(key, known);
    return wrong(where, "unknown key " + key +
                            (near.empty() ? std::string{} : "; did you mean " + near + "?"));
  }

  template <typename Definition, typename Map>
  Result<void> read_kind(const toml::node& node, const std::string& kind,
                         std::span<const Key<Definition>> keys, Map& into) {
    const toml::table* const all = node.as_table();
    if (!all) return wrong(node.source(), fmt::format("write [{}.NAME]", kind));
    for (const auto& [name, each] : *all) {
      const std::string called{name.str()};
      const toml::table* const table = each.as_table();
      if (!table) return wrong(name.source(), fmt::format("write [{}.{}]", kind, called));
      if (called != "*" && !protocol::is_function_name(called)) {
        return wrong(name.source(), fmt::format("the name \"{}\" must be 1 to 64 of a-z, A-Z, 0-9, "
                                                "- and _, or \"*\"",
                                                called));
      }
      Definition definition;
      for (const auto& [key, value] : *table) {
        const auto row = std::ranges::find_if(keys, [&wanted = key](const Key<Definition>& known) {
          return wanted.str() == known.name;
        });
        if (row == keys.end()) {
          std::vector<std::string> known;
          for (const auto& one : keys) known.emplace_back(one.name);
          return unknown(std::string{key.str()}, key.source(), known);
        }
        if (const auto read = row->read(value, definition); !read) {
          return wrong(value.source(), fmt::format("{} {}", row->name, read.error().message));
        }
      }
      into.emplace(called, std::move(definition));
    }
    return {};
  }

  Result<void> read_topics(const toml::node& node) {
    const auto read = read_kind(node, "topics", std::span<const Key<TopicDefinition>>{kTopicKeys},
                                definitions_.topics);
    if (!read) return read.error();
    const auto all = definitions_.topics.find("*");
    if (all == definitions_.topics.end() || all->second.subscriptions.empty()) return {};
    return wrong(node.source(),
                 "topics.\"*\" has no subscriptions: a function gets what is published to all "
                 "topics by a pattern of its manifest, {\"type\": [\"notification.published\"]}");
  }

  // What forms put into a bucket before it is whole is not for its watcher.
  Result<void> check_buckets_of_forms() {
    for (const auto& [name, form] : definitions_.forms) {
      if (form.bucket.empty()) continue;
      const auto& where =
          root_.get_as<toml::table>("forms")->get_as<toml::table>(name)->get("bucket");
      const auto bucket = definitions_.buckets.find(form.bucket);
      if (bucket == definitions_.buckets.end() || form.bucket == "*") {
        return wrong(where->source(), fmt::format("bucket {0} is not defined; write [buckets.{0}] "
                                                  "with its directory",
                                                  form.bucket));
      }
      StorageBucketOptions& options = bucket->second;
      if (!options.directory.starts_with('/')) {
        return wrong(where->source(),
                     fmt::format("bucket {} needs a directory, an absolute path", form.bucket));
      }
      if (!std::ranges::count(options.ignore, kUploadsDirectory)) {
        options.ignore.emplace_back(kUploadsDirectory);
      }
    }
    return {};
  }

  Result<void> read_webhooks(const toml::node& node) {
    std::map<std::string, WebhookText> texts;
    const auto read =
        read_kind(node, "webhooks", std::span<const Key<WebhookText>>{kWebhookKeys}, texts);
    if (!read) return read.error();
    for (auto& [name, text] : texts) {
      if (name == "*") return wrong(node.source(), "webhooks have a name each, not \"*\"");
      const auto& where = node.as_table()->get(name)->source();
      if (text.secrets.empty()) return wrong(where, name + ": secrets is missing");
      for (const std::string& secret : text.secrets) {
        auto key = webhook_key(text.definition.scheme, secret);
        if (!key) return wrong(where, fmt::format("{}: {}", name, key.error().message));
        text.definition.keys.push_back(*std::move(key));
      }
      definitions_.webhooks.emplace(name, std::move(text.definition));
    }
    return {};
  }

  Result<void> read_schedules(const toml::node& node) {
    std::map<std::string, ScheduleText> texts;
    const auto read =
        read_kind(node, "schedules", std::span<const Key<ScheduleText>>{kScheduleKeys}, texts);
    if (!read) return read.error();
    for (auto& [name, text] : texts) {
      const auto& where = node.as_table()->get(name)->source();
      text["name"] = name;
      auto schedule = schedule_from_json(
          text.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
      if (!schedule) return wrong(where, fmt::format("{}: {}", name, schedule.error().message));
      if (const auto fine = check(*schedule); !fine) {
        return wrong(where, fmt::format("{}: {}", name, fine.error().message));
      }
      definitions_.schedules.push_back(*std::move(schedule));
    }
    return {};
  }

  const toml::table& root_;
  std::string file_;
  Definitions definitions_;
};

template <typename Definition>
void append_sample(std::string& text, std::span<const Key<Definition>> keys) {
  for (const auto& key : keys) {
    std::istringstream lines(key.doc);
    for (std::string line; std::getline(lines, line);) text += "# " + line + "\n";
    text += fmt::format("{} = {}\n", key.name, key.sample);
  }
}

}  // namespace

Result<Definitions> parse_definitions(std::string_view text, std::string_view file) {
  try {
    const toml::table root = toml::parse(text, file);
    return Reader(root, file).read();
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return reject(fmt::format("{}:{}:{}: {}", file, at.line, at.column, error.description()));
  }
}

Result<Definitions> read_definitions(const std::string& file) {
  std::ifstream in(file);
  if (!in) return reject(fmt::format("{} cannot be read", file));
  std::ostringstream text;
  text << in.rdbuf();
  return parse_definitions(text.str(), file);
}

std::string sample_definitions() {
  std::string text =
      "# What becomes events, and how: read by fanfare-triggers when it starts.\n\n"
      "# POST /forms/contact; [forms.\"*\"] stands for all forms that are not named.\n"
      "[forms.contact]\n";
  append_sample(text, std::span<const Key<FormDefinition>>{kFormKeys});
  text +=
      "\n# /functions/wordcount and what is below it: the function answers HTTP requests itself.\n"
      "# [urls.\"*\"] stands for all functions that are not named.\n[urls.wordcount]\n";
  append_sample(text, std::span<const Key<UrlDefinition>>{kUrlKeys});
  // Not in force: a secret that stands here is nobody's.
  std::string webhook = "[webhooks.payments]\n";
  append_sample(webhook, std::span<const Key<WebhookText>>{kWebhookKeys});
  text += "\n# POST /webhooks/payments: what another service tells, signed. Without the \"#\":\n";
  std::istringstream lines(webhook);
  for (std::string line; std::getline(lines, line);) text += "# " + line + "\n";
  std::string schedule = "[schedules.nightly]\n";
  append_sample(schedule, std::span<const Key<ScheduleText>>{kScheduleKeys});
  text += "\n# Events at times: docs/schedules.md. Without the \"#\":\n";
  std::istringstream schedule_lines(schedule);
  for (std::string line; std::getline(schedule_lines, line);) text += "# " + line + "\n";
  text +=
      "\n# POST /topics/orders; [topics.\"*\"] stands for all topics that nobody has defined.\n"
      "[topics.orders]\n";
  append_sample(text, std::span<const Key<TopicDefinition>>{kTopicKeys});
  text +=
      "\n# Files that come to, change in and go from a directory: "
      "docs/storage.md\n[buckets.photos]\n";
  append_sample(text, std::span<const Key<StorageBucketOptions>>{kBucketKeys});
  return text;
}

}  // namespace fanfare::triggers

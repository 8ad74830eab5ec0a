// Of what comes by HTTP: forms, functions' URLs, webhooks, topics.
#include <fmt/format.h>

#include <sstream>

#include "triggers/definition_keys.h"
#include "triggers/definition_values.h"

namespace fanfare::triggers {
namespace {

constexpr std::size_t kFileBytesCeiling = std::size_t{1} << 40;

constexpr DefinitionKey<FormDefinition> kFormKeys[] = {
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

constexpr DefinitionKey<UrlDefinition> kUrlKeys[] = {
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

constexpr DefinitionKey<WebhookText> kWebhookKeys[] = {
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

constexpr DefinitionKey<TopicDefinition> kTopicKeys[] = {
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

}  // namespace

std::span<const DefinitionKey<FormDefinition>> form_keys() {
  return kFormKeys;
}

std::span<const DefinitionKey<UrlDefinition>> url_keys() {
  return kUrlKeys;
}

std::span<const DefinitionKey<WebhookText>> webhook_keys() {
  return kWebhookKeys;
}

std::span<const DefinitionKey<TopicDefinition>> topic_keys() {
  return kTopicKeys;
}

}  // namespace fanfare::triggers

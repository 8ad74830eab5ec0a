#include "triggers/topic_declaration.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace fanfare::triggers {
namespace {

constexpr Duration kPause = std::chrono::milliseconds{250};
constexpr std::size_t kNamedMax = 10;

}  // namespace

std::string remark_on(std::string_view answer) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  const auto listed = json.find("not_deployed");
  if (listed == json.end()) return {};
  std::vector<std::string> names;
  for (const auto& name : *listed) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  if (names.empty()) return {};
  const std::size_t more = names.size() - std::min(names.size(), kNamedMax);
  names.resize(names.size() - more);
  return fmt::format(
      "topics of triggers.toml have subscribers that are not deployed: {}{}; once one is deployed, "
      "it gets what is published from then on",
      fmt::join(names, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

TopicDeclaration::TopicDeclaration(Loop& loop, client::Client& client, std::string declaration)
    : loop_(loop),
      client_(client),
      declaration_(std::move(declaration)),
      timer_(loop, [this] { declare(); }) {
  declare();
}

void TopicDeclaration::declare() {
  client_.admin("declare_topics", declaration_,
                [this, alive = std::weak_ptr(alive_)](const Result<std::string>& answer) {
                  if (!alive.expired()) on_answer(answer);
                });
}

void TopicDeclaration::on_answer(const Result<std::string>& answer) {
  if (answer) {
    settled_ = true;
    spdlog::info("topics of triggers.toml are declared");
    if (const std::string remark = remark_on(*answer); !remark.empty()) spdlog::warn("{}", remark);
    return;
  }
  if (answer.error().kind == ErrorKind::kReject) {
    settled_ = true;
    spdlog::error(
        "the broker does not take the topics of triggers.toml, which stay as they were: {}",
        answer.error().message);
    return;
  }
  if (log_.allow(loop_.now().steady)) {
    spdlog::warn("the topics of triggers.toml cannot be declared yet: {}", answer.error().message);
  }
  timer_.start_after(kPause);
}

}  // namespace fanfare::triggers

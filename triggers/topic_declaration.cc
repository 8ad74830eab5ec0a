#include "triggers/topic_declaration.h"

#include <spdlog/spdlog.h>

namespace fanfare::triggers {
namespace {

constexpr Duration kPause = std::chrono::milliseconds{250};

}  // namespace

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
    spdlog::info("topics of triggers.toml are declared: {}", *answer);
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

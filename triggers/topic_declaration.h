// Tells the broker of the topics that triggers.toml has, until it has taken them.
//
// The broker keeps them in Redis, as the file's: those that are not in the file any more go. So all
// gateways of an installation have the same file.
//
// Lives on the loop's thread; the client outlives it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/loop.h"
#include "client/client.h"

namespace fanfare::triggers {

// What a person should know of the broker's answer: functions that subscribe and are not deployed.
// Empty: nothing.
std::string remark_on(std::string_view answer);

class TopicDeclaration {
 public:
  TopicDeclaration(Loop& loop, client::Client& client, std::string declaration);

  // The broker has taken them, or refused them for good, which the log says.
  bool settled() const { return settled_; }

 private:
  void declare();
  void on_answer(const Result<std::string>& answer);

  Loop& loop_;
  client::Client& client_;
  const std::string declaration_;
  bool settled_ = false;
  LogThrottle log_;
  Timer timer_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // answers hold it weakly
};

}  // namespace fanfare::triggers

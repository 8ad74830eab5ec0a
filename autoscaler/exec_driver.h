// Workers by commands of the operator: one that says how many there are, one that makes it so many.
//
// No shell reads them. In both each word `{workers}` stands for the number wanted (that of
// the counting one is empty), and FANFARE_WORKERS in the environment says it as well.
#pragma once

#include <string>
#include <vector>

#include "autoscaler/command.h"
#include "autoscaler/driver.h"
#include "base/loop.h"

namespace fanfare::autoscaler {

struct ExecOptions {
  std::vector<std::string>
      count;  // prints a number, and after it, if it likes, that of the leaving
  std::vector<std::string> scale;
  Duration time = std::chrono::seconds{30};  // for a run of either
};

class ExecDriver final : public Driver {
 public:
  // Both commands have at least one word.
  ExecDriver(Loop& loop, ExecOptions options);
  ~ExecDriver() override;

  // kFatal: what Command says, or that what it printed is no number.
  void count(const std::vector<ConnectedWorker>&, OnCount on_count) override;
  void scale_to(std::uint32_t workers, OnScaled on_scaled) override;
  void release(OnReleased on_released) override;  // nobody: who drains is the command's business

 private:
  void run(const std::vector<std::string>& words, const std::string& workers,
           Command::OnEnd on_end);

  Loop& loop_;
  ExecOptions options_;
  std::unique_ptr<Command> running_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what is posted holds it weakly
};

}  // namespace fanfare::autoscaler

// A function's shared object, loaded and checked against the ABI of <fanfare/function.h>.
//
// It is never unloaded: foreign code may have left pointers to itself anywhere.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "fanfare/batch.h"
#include "fanfare/function.h"
#include "protocol/record.h"

namespace fanfare::worker {

class LoadedFunction {
 public:
  // Loads and checks. A Failure says what to do: its type is LoadError, NotAFunction, AbiMismatch
  // or StartsThreads. A constructor of the object that throws or crashes ends the process.
  static std::variant<LoadedFunction, protocol::Failure> load(const std::string& path);

  // FANFARE_INIT and FANFARE_START, if the function has them: nothing, or why it failed.
  std::optional<protocol::Failure> init() const { return run(init_); }
  std::optional<protocol::Failure> start() const { return run(start_); }

  // Whether it takes many events in one call.
  bool handles_batches() const { return handle_batch_ != nullptr; }
  void handle_batch(std::span<const abi::Event> events, const abi::Context& context,
                    const abi::BatchAnswer& answer) const {
    handle_batch_(events.data(), events.size(), &context, &answer);
  }
  void handle(const abi::Event& event, const abi::Context& context,
              const abi::Answer& answer) const {
    handle_(&event, &context, &answer);
  }

 private:
  static std::optional<protocol::Failure> run(abi::HookFn* hook);
  abi::HandleFn* handle_ = nullptr;
  abi::HandleBatchFn* handle_batch_ = nullptr;
  abi::HookFn* init_ = nullptr;
  abi::HookFn* start_ = nullptr;
};

// Threads of this process: a zygote must not have any beside its own, or its forks would be broken.
std::size_t count_threads();

}  // namespace fanfare::worker

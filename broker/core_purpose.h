// What an answer of the store belongs to: one type for each kind of call that the broker's core
// makes, with what it has to know again when the answer comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "broker/core_intake.h"
#include "broker/function_state.h"
#include "protocol/ids.h"
#include "protocol/messages.h"
#include "store/calls.h"

namespace fanfare::broker {

struct AdminRequest {
  Peer peer;
  std::uint64_t request;
  std::string function;
};
struct ForBegin {};
struct ForRegistry {};
struct ForWorkers {};
struct ForNote {};
struct ForOffice {
  TimePoint asked_at;
};
struct ForSurvey {
  FunctionState* function;
  std::uint64_t number = 0;
};
struct ForAppend {
  std::unique_ptr<Chunk> chunk;
};
struct ForRepublish {
  std::unique_ptr<Chunk> chunk;
};
struct ForOutboxCounts {
  std::vector<std::string> functions;
};
struct ForOutbox {
  FunctionState* function;
};
struct ForPage {
  FunctionState* function;
  protocol::Lane lane;
  std::uint32_t reading;  // FunctionState::reading when it was asked
};
struct ForDue {
  FunctionState* function;
  std::uint32_t reading;
  store::Due page;
};
struct ForPostpone {
  FunctionState* function;
  store::Postpone call;
};
struct ForBury {
  FunctionState* function;
  store::Bury call;
};
struct ForLetters {  // that are to be redriven
  AdminRequest admin;
  FunctionState* state;
};
struct ForRedrive {
  AdminRequest admin;
  FunctionState* state;
  store::Redrive call;
  std::vector<protocol::Status> statuses;  // of the letters: which count they leave
  std::size_t taken;                       // letters looked at
  std::size_t gone, unreadable;
};
struct ForPurgeLetters {
  AdminRequest admin;
};
struct ForRecall {
  Peer peer;
  std::string frame;
};
struct ForLookup {
  std::uint64_t first;  // number of its first key
  std::vector<ClaimKey> keys;
};
struct ForDeploy {
  std::string name;
  std::uint64_t number;  // of the deployment
};
struct DeployWishes {
  bool follows = false;  // who asked asks how far it is, instead of waiting for the answer
  Duration timeout = std::chrono::seconds{60};  // of what workers have to say
};
struct ForGenerations {
  AdminRequest admin;
  bool rolls_back;
  std::string to;  // a generation, or how a digest begins; empty: the one before
  DeployWishes wishes;
};
struct ForRemove {
  AdminRequest admin;
};
struct ForSetState {
  AdminRequest admin;
  bool paused;
};
struct ForTopics {};
struct ForTopicsSet {};
struct ForWish {
  AdminRequest admin;
  std::string worker;
  bool quiet;
};
using CancellationId = StrongId<struct CancellationTag, std::uint64_t>;
struct ForFind {
  FunctionState* function;
  CancellationId cancellation;
};
struct ForPurgedRows {
  FunctionState* function;
  std::uint64_t purge;
};
using Purpose = std::variant<ForBegin, ForRegistry, ForWorkers, ForNote, ForOffice, ForSurvey,
                             ForAppend, ForPage, ForDue, ForPostpone, ForBury, ForRecall, ForLookup,
                             ForDeploy, ForGenerations, ForRemove, ForSetState, ForWish, ForFind,
                             ForPurgedRows, ForLetters, ForRedrive, ForPurgeLetters, ForRepublish,
                             ForOutboxCounts, ForOutbox, ForTopics, ForTopicsSet>;

}  // namespace fanfare::broker

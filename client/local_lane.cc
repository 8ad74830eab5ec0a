#include "client/local_lane.h"

#include <dirent.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/unix_socket.h"
#include "client/publish_queue.h"

namespace fanfare::client {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWordIsOnItsWay = 2s;  // from the time's end until it is given up
constexpr std::size_t kRestsMax = 10'000;
constexpr int kPerTurn = 64;

std::uint32_t ms_until(TimePoint at, TimePoint now) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(at - now).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1));
}

}  // namespace

LocalLane::LocalLane(Loop& loop, std::string_view broker_endpoint)
    : loop_(loop),
      place_(protocol::local_place(broker_endpoint)),
      broker_path_(place_.any() ? broker_endpoint.substr(std::string_view("ipc://").size())
                                : std::string_view{}),
      timer_(loop, [this] { tick(); }) {}

LocalLane::~LocalLane() = default;

void LocalLane::look_for_workers() {
  const TimePoint now = loop_.now().steady;
  if (looked_ && now < look_at_) return;
  looked_ = true;
  buffer_.resize(protocol::kLocalPacketMax);
  look_at_ = now + kLookEvery;
  DIR* const folder = ::opendir(place_.folder.c_str());
  if (!folder) return;
  while (const dirent* const entry = ::readdir(folder)) {
    if (place_.has(entry->d_name)) {
      connect(place_.folder + "/" + entry->d_name);
    }
  }
  ::closedir(folder);
}

void LocalLane::connect(const std::string& path) {
  const bool known =
      std::ranges::any_of(workers_, [&](const auto& entry) { return entry.second->path == path; });
  if (known) return;
  auto found = connect_unix(path, UnixKind::kSeqpacket);
  if (!found) return;  // nobody is there, or it is full
  // Whoever may write beside the broker's socket could put one of his own there: what is invoked is
  // given to root, to whom the broker belongs, and to oneself.
  if (!made_by_owner_of(broker_path_, found->get())) return;
  Fd socket = *std::move(found);
  const std::size_t number = next_worker_++;
  auto worker = std::make_unique<Worker>();
  worker->path = path;
  worker->connected_at = loop_.now().steady;
  worker->watch =
      std::make_unique<FdWatch>(loop_, socket.get(), [this, number] { read_from(number); });
  worker->socket = std::move(socket);
  workers_.emplace(number, std::move(worker));
}

// One that has greeted, and of these the one with least to do.
LocalLane::Worker* LocalLane::choose(const std::string& function) {
  const TimePoint now = loop_.now().steady;
  const auto rest = rests_.find(function);
  if (rest != rests_.end() && now < rest->second.until) return nullptr;
  Worker* best = nullptr;
  for (auto& [number, worker] : workers_) {
    if (worker->calls.size() >= kWaitingMax || worker->stands_still) continue;
    if (!worker->greeted && now - worker->connected_at >= kGreetingPatience) continue;
    if (!best || (worker->greeted && !best->greeted) ||
        (worker->greeted == best->greeted && worker->calls.size() < best->calls.size())) {
      best = worker.get();
    }
  }
  return best;
}

bool LocalLane::invoke(protocol::Invoke& request, const OnAnswer& on_answer) {
  if (!place_.any()) return false;
  look_for_workers();
  Worker* const worker = choose(request.function);
  if (!worker) return false;
  const std::uint64_t number = next_request_++;
  const TimePoint ends_at = loop_.now().steady + std::chrono::milliseconds{request.timeout_ms};
  Call call{.request = std::move(request), .on_answer = on_answer, .ends_at = ends_at};
  if (worker->greeted && !send(*worker, number, call)) {
    request = std::move(call.request);
    return false;
  }
  worker->calls.emplace(number, std::move(call));
  arm();
  return true;
}

bool LocalLane::send(Worker& worker, std::uint64_t request, Call& call) {
  call.request.request = request;
  call.request.timeout_ms = ms_until(call.ends_at, loop_.now().steady);
  call.sent = protocol::send_local(worker.socket.get(), protocol::encode(call.request)).has_value();
  return call.sent;
}

void LocalLane::read_from(std::size_t number) {
  for (int n = 0; n < kPerTurn; ++n) {
    const auto at = workers_.find(number);
    if (at == workers_.end()) return;
    const auto packet = protocol::receive_local(at->second->socket.get(), buffer_);
    if (packet) at->second->stands_still = false;
    if (packet && packet->not_here) {
      on_not_here(*at->second, *packet->not_here);
      continue;
    }
    if (packet) {
      on_message(*at->second, packet->frame);
      continue;
    }
    if (packet.error().kind == ErrorKind::kRetryLater) return;
    return drop(number,
                "the worker that ran the function vanished; it may or may not have finished");
  }
}

void LocalLane::on_message(Worker& worker, std::string_view frame) {
  auto message = protocol::decode(frame);
  if (!message) return;  // of a later build; its calls end with their time
  if (!worker.greeted) {
    worker.greeted = true;
    std::vector<std::uint64_t> unsent;
    for (auto& [request, call] : worker.calls) {
      if (!send(worker, request, call)) unsent.push_back(request);
    }
    for (const std::uint64_t request : unsent) give_back(worker, request);
    return;
  }
  const auto* const refused = std::get_if<protocol::Refused>(&*message);
  const auto* const invoked = std::get_if<protocol::Invoked>(&*message);
  if (!refused && !invoked) return;
  const std::uint64_t request = refused ? refused->request : invoked->request;
  auto node = worker.calls.extract(request);
  if (node.empty()) return;
  Call& call = node.mapped();
  const auto rest = rests_.find(call.request.function);
  if (rest != rests_.end() && loop_.now().steady >= rest->second.until) rests_.erase(rest);
  if (refused) {
    call.on_answer(Result<protocol::Message>{to_error(refused->code, refused->message)}, {});
  } else {
    call.on_answer(Result<protocol::Message>{*std::move(message)}, {});
  }
}

void LocalLane::on_not_here(Worker& worker, std::uint64_t request) {
  const auto call = worker.calls.find(request);
  if (call == worker.calls.end()) return;
  rest(call->second.request.function);
  give_back(worker, request);
}

void LocalLane::rest(const std::string& function) {
  if (rests_.size() >= kRestsMax) rests_.clear();
  Rest& rest = rests_[function];
  if (loop_.now().steady < rest.until) return;  // said of what was on its way with the last one
  rest.pause = rest.pause == Duration::zero() ? kRestFirst : std::min(kRestMax, rest.pause * 2);
  rest.until = loop_.now().steady + rest.pause;
}

void LocalLane::give_back(Worker& worker, std::uint64_t request) {
  auto node = worker.calls.extract(request);
  if (node.empty()) return;
  Call& call = node.mapped();
  call.request.timeout_ms = ms_until(call.ends_at, loop_.now().steady);
  call.on_answer(std::nullopt, std::move(call.request));
}

// Its own watch may be calling: it goes at the end of the turn.
void LocalLane::drop(std::size_t number, const std::string& why) {
  const auto at = workers_.find(number);
  if (at == workers_.end()) return;
  std::shared_ptr<Worker> doomed = std::move(at->second);
  workers_.erase(at);
  doomed->watch.reset();
  loop_.post([doomed] {});
  auto calls = std::exchange(doomed->calls, {});
  for (auto& [request, call] : calls) {
    if (!call.sent) {
      call.request.timeout_ms = ms_until(call.ends_at, loop_.now().steady);
      call.on_answer(std::nullopt, std::move(call.request));
    } else {
      call.on_answer(Result<protocol::Message>{to_error(protocol::Refusal::kUnavailable, why)}, {});
    }
  }
}

void LocalLane::tick() {
  const TimePoint now = loop_.now().steady;
  std::vector<std::size_t> silent;
  std::vector<std::pair<std::size_t, std::uint64_t>> late;
  for (auto& [number, worker] : workers_) {
    if (!worker->greeted && now - worker->connected_at >= kGreetingPatience) {
      silent.push_back(number);
      continue;
    }
    for (const auto& [request, call] : worker->calls) {
      if (now >= call.ends_at + kWordIsOnItsWay) late.emplace_back(number, request);
    }
  }
  for (const std::size_t number : silent) drop(number, {});
  for (const auto& [number, request] : late) {
    const auto at = workers_.find(number);
    if (at == workers_.end()) continue;
    auto node = at->second->calls.extract(request);
    if (node.empty()) continue;
    at->second->stands_still = true;
    node.mapped().on_answer(
        Result<protocol::Message>{reconnect("unreachable: the worker at " + at->second->path +
                                            " did not answer in time")},
        {});
  }
  arm();
}

// Looks every so often rather than at each end: what is answered in time costs no timer.
void LocalLane::arm() {
  const bool greeting =
      std::ranges::any_of(workers_, [](const auto& entry) { return !entry.second->greeted; });
  const bool waiting =
      std::ranges::any_of(workers_, [](const auto& entry) { return !entry.second->calls.empty(); });
  if (!waiting && !greeting) return timer_.stop();
  if (timer_.running()) return;
  timer_.start_after(greeting ? kGreetingPatience : Duration{500ms});
}

}  // namespace fanfare::client

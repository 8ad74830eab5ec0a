// Batches and payloads at every limit, and one over it.
//
// Speaks the protocol by itself: the client library never sends what would be refused. A batch over
// its limit is refused as a whole, an event over its limit alone; whatever is accepted is cut so
// that no step of Redis is larger than it may be; and a broker that dies over a batch goes on with
// it when it is sent again.
#include <fmt/format.h>
#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "protocol/event.h"
#include "protocol/messages.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBatchEvents = 4096;      // docs/protocol.md
constexpr std::size_t kDataBytes = 256 * 1024;  // as the run sets max_event_bytes
constexpr std::size_t kFrameBytes = 16u << 20;  // docs/protocol.md
constexpr std::size_t kStepDeliveries = 256;    // docs/redis.md

// A connection of a publisher that says what it likes.
class RawPublisher {
 public:
  explicit RawPublisher(const std::string& endpoint) {
    const int no_wait = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &no_wait, sizeof no_wait);
    if (zmq_connect(socket_, endpoint.c_str()) != 0) throw std::runtime_error(zmq_strerror(errno));
  }
  ~RawPublisher() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  RawPublisher(const RawPublisher&) = delete;
  RawPublisher& operator=(const RawPublisher&) = delete;

  void send(const protocol::Publish& batch) const {
    const std::string frame = protocol::encode(batch);
    if (zmq_send(socket_, frame.data(), frame.size(), 0) < 0) {
      throw std::runtime_error(zmq_strerror(errno));
    }
  }
  // The answer to this batch, if it is there.
  std::optional<protocol::Message> answer(std::uint64_t sequence) const {
    std::optional<protocol::Message> found;
    zmq_msg_t message;
    while (!found) {
      zmq_msg_init(&message);
      if (zmq_msg_recv(&message, socket_, ZMQ_DONTWAIT) < 0) break;
      auto decoded = protocol::decode(
          {static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message)});
      zmq_msg_close(&message);
      if (!decoded) throw std::runtime_error(decoded.error().message);
      const auto* published = std::get_if<protocol::Published>(&*decoded);
      const auto* refused = std::get_if<protocol::Refused>(&*decoded);
      if ((published && published->sequence == sequence) ||
          (refused && refused->request == sequence)) {
        found = *std::move(decoded);
      }
    }
    return found;
  }

 private:
  void* context_ = zmq_ctx_new();
  void* socket_ = zmq_socket(context_, ZMQ_DEALER);
};

class Batches {
 public:
  Batches(Rig& rig, std::uint64_t seed)
      : rig_(rig), raw_(rig.endpoint()), client_(fmt::format("raw-{}", seed)) {}

  // As many events as there are sizes, each with so many bytes of data; 0 bytes: no tag, so that
  // there can be only one.
  void publish(const std::vector<std::size_t>& sizes, bool kill_broker = false) {
    protocol::Publish batch{
        .client = client_, .sequence = ++sequence_, .repeat = false, .packed_events = {}};
    const std::size_t first = submissions_.size();
    std::size_t bytes = 0;
    for (const std::size_t size : sizes) {
      batch.packed_events.push_back(make(size));
      bytes += batch.packed_events.back().size();
    }
    raw_.send(batch);
    if (kill_broker) {
      rig_.run_for(3ms);
      rig_.kill(rig_.broker());
    }
    // What cannot be a frame is not answered: the connection is closed.
    const bool no_frame = bytes > kFrameBytes;
    std::optional<protocol::Message> answer;
    for (int tries = 0; tries < (no_frame ? 1 : 10) && !answer; ++tries) {
      if (tries > 0) {
        batch.repeat = true;
        raw_.send(batch);
      }
      rig_.run_until([&] { return (answer = raw_.answer(sequence_)).has_value(); },
                     no_frame ? 300ms : 2000ms);
      const auto* refused = answer ? std::get_if<protocol::Refused>(&*answer) : nullptr;
      if (!refused || refused->code != protocol::Refusal::kUnavailable) continue;
      answer.reset();  // a broker that has just begun
      rig_.run_for(100ms);
    }
    ++batches_;
    if (answer) {
      note(*answer, first);
    } else if (no_frame) {
      for (std::size_t i = first; i < submissions_.size(); ++i) {
        submissions_[i].fate = Submission::Fate::kRefused;
      }
    }
    judge(sizes, first);
  }

  std::size_t batches() const { return batches_; }
  std::vector<Submission>& submissions() { return submissions_; }
  // Not answered as their sizes ask for, or without a word that helps.
  std::size_t wrong() const { return wrong_; }
  const std::string& what_was_wrong() const { return what_; }

 private:
  std::string make(std::size_t size) {
    protocol::Event event;
    event.source = "/chaos";
    event.type = kProbe;
    event.content_type = "text/plain";
    Submission one;
    if (size > 0) {
      one.tag = ++tag_;
      event.data = fmt::format("{} ok", one.tag);
      if (event.data.size() < size) {
        event.data += ' ';
        event.data.resize(size, 'x');
      }
    }
    one.invoked_ns = Rig::now_ns();
    submissions_.push_back(one);
    reasons_.emplace_back();
    return protocol::pack(event);
  }

  void note(const protocol::Message& answer, std::size_t first) {
    const std::int64_t now = Rig::now_ns();
    if (const auto* refused = std::get_if<protocol::Refused>(&answer)) {
      for (std::size_t i = first; i < submissions_.size(); ++i) {
        submissions_[i].fate = Submission::Fate::kRefused;
        reasons_[i] = refused->message;
      }
      return;
    }
    const auto& published = std::get<protocol::Published>(answer);
    std::size_t at = first;
    for (const protocol::PublishRun& run : published.runs) {
      for (std::uint32_t i = 0; i < run.count; ++i, ++at) {
        if (at >= submissions_.size()) return complain("more events were answered than sent");
        Submission& one = submissions_[at];
        one.answered_ns = now;
        if (run.fate == protocol::PublishRun::Fate::kRefused) {
          one.fate = Submission::Fate::kRefused;
          reasons_[at] = published.errors.at(run.detail).message;
          continue;
        }
        one.fate = Submission::Fate::kAccepted;
        one.functions = static_cast<std::uint32_t>(published.routes.at(run.detail).size());
        one.id = run.first;
        one.id.index = static_cast<std::uint8_t>(one.id.index + i);
      }
    }
    if (at != submissions_.size()) complain("fewer events were answered than sent");
  }

  void judge(const std::vector<std::size_t>& sizes, std::size_t first) {
    std::size_t bytes = 0;
    for (const std::size_t size : sizes) bytes += size;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const Submission& one = submissions_[first + i];
      const bool fine = sizes.size() <= kBatchEvents && sizes[i] <= kDataBytes;
      const auto wanted =
          fine && bytes < kFrameBytes ? Submission::Fate::kAccepted : Submission::Fate::kRefused;
      if (one.fate != wanted) {
        complain(fmt::format("one of {} events, {} bytes: {} ({})", sizes.size(), sizes[i],
                             one.fate == Submission::Fate::kRefused    ? "refused"
                             : one.fate == Submission::Fate::kAccepted ? "accepted"
                                                                       : "not answered",
                             reasons_[first + i]));
        continue;
      }
      // It says which limit that was.
      if (wanted == Submission::Fate::kAccepted || bytes > kFrameBytes) continue;
      const std::string_view limit = sizes.size() > kBatchEvents ? "4096" : "262144";
      if (reasons_[first + i].find(limit) == std::string::npos) {
        complain(fmt::format("refused as '{}'", reasons_[first + i]));
      }
    }
  }

  void complain(const std::string& what) {
    if (++wrong_ <= 5) what_ += what + "\n";
  }

  Rig& rig_;
  RawPublisher raw_;
  std::string client_;
  std::uint64_t sequence_ = 0;
  Tag tag_ = 0;
  std::size_t batches_ = 0, wrong_ = 0;
  std::string what_;
  std::vector<Submission> submissions_;
  std::vector<std::string> reasons_;  // of refused ones, by position
};

// The most deliveries that one step of Redis journaled, or ended.
std::size_t largest_step(const History& history) {
  std::map<std::pair<std::uint64_t, Change::Kind>, std::size_t> sizes;
  std::size_t largest = 0;
  for (const Change& one : history.changes) {
    largest = std::max(largest, ++sizes[{one.step, one.kind}]);
  }
  return largest;
}

Outcome run_batch_limits(const Run& run) {
  RigOptions options;
  options.broker = {{"FANFARE_BROKER_MAX_EVENT_BYTES", fmt::format("{}", kDataBytes)}};
  if (run.without()) options.broker_without = "cut_appends";
  Rig rig(options);
  Batches batches(rig, run.seed);
  std::mt19937_64 random(run.seed);

  std::vector<std::vector<std::size_t>> all;
  for (const std::size_t count : {1u, 2u, 255u, 256u, 257u, 1000u, 4095u, 4096u, 4097u, 20'000u}) {
    all.emplace_back(count, 20);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{16}, std::size_t{65'535},
                                 std::size_t{65'536}, kDataBytes - 1, kDataBytes, kDataBytes + 1}) {
    all.push_back({size});
  }
  // Bad ones among good ones; many that fill a call of Redis each; no frame at all.
  all.push_back({20, kDataBytes + 1, 20, kDataBytes, 4 * kDataBytes, 20});
  all.emplace_back(15, kDataBytes);
  all.emplace_back(70, kDataBytes);
  if (run.control) all = {std::vector<std::size_t>(20, 20), std::vector<std::size_t>(1000, 20)};
  for (int i = 0; i < (run.lengthy ? 100 : 3) && !run.control; ++i) {
    std::vector<std::size_t> sizes(1 + random() % 600);
    for (std::size_t& size : sizes) size = 16 + random() % (random() % 20 == 0 ? 9'000 : 300);
    all.push_back(std::move(sizes));
  }
  std::shuffle(all.begin(), all.end(), random);
  for (const auto& sizes : all) batches.publish(sizes);
  if (!run.control) {
    for (int i = 0; i < (run.lengthy ? 10 : 1); ++i) {
      batches.publish(std::vector<std::size_t>(4096, 20), true);
    }
  }
  Outcome outcome;
  rig.come_to_rest(20s);
  outcome.history = rig.collect();
  outcome.history.kib_of_events = 16 * kDataBytes / 1024;  // some in each process
  outcome.times = batches.batches();
  History& history = outcome.history;
  history.submissions.insert(history.submissions.end(), batches.submissions().begin(),
                             batches.submissions().end());
  history.bounds.push_back({.of = Bounded::Of::kResource,
                            .what = "events that were not answered as their batch and size ask for",
                            .value = static_cast<double>(batches.wrong()),
                            .at_most = 0});
  const auto largest = static_cast<double>(largest_step(history));
  history.bounds.push_back({.of = Bounded::Of::kResource,
                            .what = "deliveries in one step of Redis",
                            .value = largest,
                            .at_most = kStepDeliveries});
  outcome.figures = {{"deliveries in one step of Redis, at most", largest}};
  outcome.logs = batches.what_was_wrong() + rig.logs();
  return outcome;
}

}  // namespace

Scenario batch_limits() {
  return {.number = 9,
          .name = "batch limits",
          .injected =
              "batches of 1 to 20,000 events, of 0 bytes to beyond the limit; SIGKILL of the "
              "broker over one",
          .without = "cutting what is appended",
          .bites = {Invariant::kResources},
          .own_faults = true,
          .run = run_batch_limits};
}

}  // namespace fanfare::chaos

#include "triggers/result_reader.h"

#include <algorithm>
#include <utility>

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;

// A delivery may end between the look into Redis and the broker's hearing of the wait, and the
// broker remembers the latest ends only for a while: short waits first.
constexpr Duration kPatienceFirst = 50ms, kPatienceMost = 2s;

}  // namespace

struct ResultReader::Reading {
  Question question;
  OnRecords on_records;
  TimePoint until;
  Duration patience = kPatienceFirst;
  Records records;
  std::size_t asked = 0;  // looks under way
  bool settled = false;   // nothing more will come: the next look is the last one
  std::optional<Error> failure;
};

void ResultReader::read(Question question, OnRecords on_records) {
  auto reading = std::make_shared<Reading>();
  reading->until = loop_.now().steady + question.wait;
  reading->settled = question.wait <= Duration{};
  reading->question = std::move(question);
  reading->on_records = std::move(on_records);
  look(reading);
}

void ResultReader::look(const std::shared_ptr<Reading>& reading) {
  if (!reading->question.function.empty()) return look_at(reading, reading->question.function);
  ++reading->asked;
  reads_.functions([this, reading](const Result<std::vector<std::string>>& names) {
    if (!names) {
      reading->failure = names.error();
    } else {
      for (const std::string& name : *names) {
        if (!reading->records.contains(name)) look_at(reading, name);
      }
    }
    --reading->asked;
    looked(reading);
  });
}

void ResultReader::look_at(const std::shared_ptr<Reading>& reading, const std::string& function) {
  ++reading->asked;
  reads_.result(function, reading->question.event,
                [this, reading, function](Result<std::optional<protocol::ResultRecord>> record) {
                  --reading->asked;
                  if (!record) {
                    reading->failure = record.error();
                  } else if (*record) {
                    reading->records.emplace(function, **std::move(record));
                  }
                  looked(reading);
                });
}

void ResultReader::looked(const std::shared_ptr<Reading>& reading) {
  if (reading->asked > 0) return;
  if (reading->failure) return reading->on_records(*reading->failure);
  const bool found = !reading->question.function.empty() && !reading->records.empty();
  const bool late = loop_.now().steady >= reading->until;
  if (found || reading->settled || late) return reading->on_records(std::move(reading->records));
  wait(reading);
}

void ResultReader::wait(const std::shared_ptr<Reading>& reading) {
  const Duration left = reading->until - loop_.now().steady;
  const Duration patience = std::min(left, reading->patience);
  reading->patience = std::min(reading->patience * 2, kPatienceMost);
  const TimePoint asked_at = loop_.now().steady;
  client_.await(reading->question.event, reading->question.function, patience,
                [this, reading, asked_at, patience,
                 life = std::weak_ptr(life_)](Result<client::Awaited> awaited) {
                  if (life.expired()) return;
                  if (!awaited) return reading->on_records(awaited.error());
                  // An answer ahead of time: it has ended, or the broker is sure to hold none.
                  const bool early = loop_.now().steady - asked_at < patience;
                  const bool one = !reading->question.function.empty();
                  reading->settled = early && (one || awaited->ended.empty());
                  look(reading);
                });
}

}  // namespace fanfare::triggers

// The I/O of fanfare-triggers: the HTTP server, the broker, Redis, signals.
//
// Requests become events as they arrive; at the end of the loop's turn all events of that turn go
// to the broker as one batch, whatever connections they came from. Each request is answered when
// the broker has its event.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/daemon.h"
#include "base/loop.h"
#include "base/zmq_socket.h"
#include "client/client.h"
#include "triggers/config.h"
#include "triggers/definitions.h"
#include "triggers/gateway.h"
#include "triggers/publishing.h"
#include "triggers/result_reader.h"
#include "triggers/scheduler.h"
#include "triggers/storage_thread.h"
#include "triggers/topic_declaration.h"

namespace fanfare::triggers {

struct TopicCounters;

class Shell {
 public:
  static Result<std::unique_ptr<Shell>> start(Loop& loop, const Config& config,
                                              Definitions definitions);
  // Ends the process if a bucket's disk does not answer.
  ~Shell();

  // The first one drains: no new connections, requests under way are answered. The second one ends
  // the loop at once.
  void on_signal(int signal);

 private:
  Shell(Loop& loop, const Config& config);
  Result<void> watch_buckets(std::map<std::string, StorageBucketOptions> buckets);
  FormFiles open_folders(const Definitions& definitions);
  void add_routes(Definitions definitions);
  std::string metrics() const;  // shell_metrics.cc
  // Requests can become events: what /readyz says.
  bool ready() const;
  void look_whether_ready();
  void look_whether_drained();

  Loop& loop_;
  Config config_;
  ServiceManager service_;
  ZmqContext context_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<store::Reads> reads_;
  std::unique_ptr<ResultReader> results_;
  std::map<std::string, PublishCounters, std::less<>> published_;  // by trigger
  std::vector<std::shared_ptr<DiskThreads>> disks_;                // of buckets that forms have
  const FormCounters* forms_ = nullptr;
  const WebhookCounters* webhooks_ = nullptr;
  const UrlCounters* urls_ = nullptr;
  std::unique_ptr<TopicDeclaration> topics_declared_;
  const TopicCounters* topics_ = nullptr;
  Gateway gateway_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<StorageThread> storage_;  // if there are buckets
  std::unique_ptr<Scheduler> scheduler_;
  Timer becoming_ready_;
  Timer drain_;
  TimePoint drain_ends_at_;
  bool draining_ = false;
};

}  // namespace fanfare::triggers

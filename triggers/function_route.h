// ANY /functions/{name}[/path]: function URLs. A function answers HTTP requests by itself.
//
// A request waits for its turn as any invocation does. "Prefer: wait=N" (RFC 7240) says for how
// many seconds at most; after that it is 429. A function's failure is a 502 that tells its type.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/client.h"
#include "triggers/access.h"
#include "triggers/gateway.h"

namespace fanfare::triggers {

struct UrlDefinition {
  bool is_public = false;            // for everybody, without a token
  std::vector<std::string> origins;  // pages whose scripts may call it; "*" = all
};

struct UrlCounters {
  std::uint64_t answered = 0, failed = 0, refused = 0;
};

class FunctionRoute : public Route {
 public:
  using Urls = std::map<std::string, UrlDefinition, std::less<>>;  // "*" for those not named

  FunctionRoute(Loop& loop, client::Client& client, AccessOptions access, Urls urls,
                std::size_t body_bytes_max);
  bool is_public() const override { return true; }  // asks itself, as it depends on the function
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;
  const UrlCounters& counters() const { return counters_; }

 private:
  const UrlDefinition& definition_of(const std::string& function) const;
  void answer(const std::shared_ptr<HttpExchange>& exchange, const std::string& function,
              bool asked_not_to_wait, const Result<protocol::ResultRecord>& record);

  Loop& loop_;
  client::Client& client_;
  AccessOptions access_;
  Urls urls_;
  std::size_t body_bytes_max_;
  std::string run_;  // of this process: its requests' ids begin with it
  std::uint64_t requests_ = 0;
  UrlCounters counters_;
};

}  // namespace fanfare::triggers

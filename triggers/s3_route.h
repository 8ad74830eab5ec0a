// POST /storage: S3's bucket notifications, as AWS and MinIO send them (s3_notification.h).
//
// A subscription of SNS is confirmed by a person: the log says at which address.
#pragma once

#include "triggers/gateway.h"
#include "triggers/publishing.h"

namespace fanfare::triggers {

class S3Route : public Route {
 public:
  S3Route(client::Client& client, PublishCounters& published, std::size_t body_bytes_max)
      : client_(client), published_(published), body_bytes_max_(body_bytes_max) {}
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;

 private:
  client::Client& client_;
  PublishCounters& published_;
  std::size_t body_bytes_max_;
};

}  // namespace fanfare::triggers

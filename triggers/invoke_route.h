// POST /2015-03-31/functions/{name}/invocations: AWS Lambda's Invoke, as its SDKs and CLI speak it.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
//
// RequestResponse runs the function and answers with its result; Event publishes, to that function
// alone, and answers 202 once the event is journaled; DryRun looks whether the function is there.
// What the function itself fails with is a 200 with X-Amz-Function-Error. {name} may be an ARN; of
// versions there is "$LATEST" only. All other errors carry X-Amzn-ErrorType, of which the SDKs make
// exceptions.
#pragma once

#include "store/reads.h"
#include "triggers/gateway.h"
#include "triggers/publishing.h"

namespace fanfare::triggers {

class InvokeRoute : public Route {
 public:
  // Lambda's own bounds of a function's time and a payload.
  static constexpr Duration kTimeMax = std::chrono::minutes{15};

  InvokeRoute(store::Reads& reads, client::Client& client, PublishCounters& published,
              std::size_t body_bytes_max)
      : reads_(reads), client_(client), published_(published), body_bytes_max_(body_bytes_max) {}
  // 403 to the SDKs, whose access key id is no token, as AWS has it.
  HttpResponse refusal(const HttpExchange& exchange, HttpResponse usual) const override;
  BodyPlan plan(const HttpExchange& exchange, const Path& path) override;
  void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) override;

 private:
  void look_for(const std::shared_ptr<HttpExchange>& exchange, const std::string& function);

  store::Reads& reads_;
  client::Client& client_;
  PublishCounters& published_;
  std::size_t body_bytes_max_;
};

// "wordcount", "wordcount:$LATEST" or "arn:aws:lambda:…:function:wordcount" → "wordcount". Nothing
// if it names another version.
std::optional<std::string> function_of(std::string_view name);

// An error as the SDKs make exceptions of: X-Amzn-ErrorType and a JSON body with Type and Message.
HttpResponse lambda_error(const Error& error, const std::string& function);

// A result as the response of RequestResponse; with the log's tail if that is asked for.
HttpResponse lambda_response(const protocol::ResultRecord& record, bool with_log);

}  // namespace fanfare::triggers

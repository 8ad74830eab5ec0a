#include "triggers/result_event.h"

#include <gtest/gtest.h>

namespace fanfare::triggers {
namespace {

TEST(ResultEvent, IsNamedAsADestinationIsTold) {
  const protocol::EventId id = protocol::parse_event_id("1795444620000-9.2").value();
  protocol::ResultRecord record;
  record.ended_ms = 1795444621234;
  record.output = "{\"n\":1}";
  record.content_type = "application/json";
  const protocol::Event succeeded = result_event(record, id, "wordcount");
  EXPECT_EQ(succeeded.type, "function.succeeded");
  EXPECT_EQ(succeeded.source, "/functions/wordcount");
  EXPECT_EQ(succeeded.subject, "1795444620000-9.2");
  EXPECT_EQ(succeeded.id, "1795444620000-9.2/1795444621234");
  EXPECT_EQ(succeeded.time, "2026-11-23T14:37:01.234Z");
  EXPECT_EQ(succeeded.content_type, "application/json");
  EXPECT_EQ(succeeded.data, protocol::to_json(record, id, "wordcount"));
  EXPECT_EQ(protocol::from_cloudevents_json(protocol::to_cloudevents_json(succeeded))->data,
            succeeded.data);

  for (const auto status :
       {protocol::Status::kFailed, protocol::Status::kExpired, protocol::Status::kCancelled}) {
    record.status = status;
    EXPECT_EQ(result_event(record, id, "wordcount").type, "function.failed");
  }
}

}  // namespace
}  // namespace fanfare::triggers

#include "cli/row_table.h"

#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

std::string table_of(const std::vector<store::StoredRow>& rows, bool guard_formulas = false) {
  RowTable table(guard_formulas);
  for (const auto& row : rows) EXPECT_TRUE(table.look_at(row));
  std::string text = table.heading();
  for (const auto& row : rows) text += table.line(row);
  EXPECT_EQ(table.left_out(), 0u);
  return text;
}

TEST(RowTable, SpreadsObjectsIntoTheUnionOfTheirMembers) {
  EXPECT_EQ(table_of({{"form/1", R"({"name":"Ada","age":36,"ok":true,"gone":null})", 0},
                      {"form/2", R"({"name":"Bo","tags":["a","b"],"at":{"x":1}})", 0},
                      {"total", "2", 0}}),
            "key,name,age,ok,gone,tags,at,value\r\n"
            "form/1,Ada,36,true,,,,\r\n"
            "form/2,Bo,,,,\"[\"\"a\"\",\"\"b\"\"]\",\"{\"\"x\"\":1}\",\r\n"
            "total,,,,,,,2\r\n");
}

TEST(RowTable, QuotesAsRfc4180Says) {
  EXPECT_EQ(table_of({{"k", R"({"m":"a,b","q":"say \"hi\"","l":"two\nlines"," s":" x"})", 0}}),
            "key,m,q,l,\" s\"\r\nk,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\" x\"\r\n");
}

TEST(RowTable, KeepsMembersNamedLikeItsOwnColumnsApart) {
  EXPECT_EQ(table_of({{"k", R"({"key":"other","value":1})", 0}}),
            "key,key_,value_\r\nk,other,1\r\n");
}

TEST(RowTable, ShowsBytesThatAreNoTextAsBase64) {
  EXPECT_EQ(table_of({{"k", "\xFF\xFE", 0}}), "key,value\r\nk,//4=\r\n");
}

TEST(RowTable, DisarmsFormulasOnlyWhenAsked) {
  const std::vector<store::StoredRow> rows{
      {"k", R"j({"a":"=SUM(A1)","b":"-3.5","c":"@cmd","d":"-x","e":"plain"})j", 0}};
  EXPECT_EQ(table_of(rows), "key,a,b,c,d,e\r\nk,=SUM(A1),-3.5,@cmd,-x,plain\r\n");
  EXPECT_EQ(table_of(rows, true), "key,a,b,c,d,e\r\nk,'=SUM(A1),-3.5,'@cmd,'-x,plain\r\n");
}

TEST(RowTable, RefusesMoreColumnsThanAnyoneCanRead) {
  RowTable table(false);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(table.look_at({"k", R"({"m)" + std::to_string(i) + R"(":1})", 0}));
  }
  EXPECT_FALSE(table.look_at({"k", R"({"one more":1})", 0}));
}

TEST(RowTable, CountsWhatItCouldNotShow) {
  RowTable table(false);
  EXPECT_EQ(table.line({"k", R"({"late":1})", 0}), "k\r\n");
  EXPECT_EQ(table.left_out(), 1u);
}

TEST(RowTable, WritesJsonLinesWithValuesAsWhatTheyAre) {
  EXPECT_EQ(to_json_line({"k", R"({"a":[1]})", 0}), R"({"key":"k","value":{"a":[1]}})");
  EXPECT_EQ(to_json_line({"k", "plain text", 7}),
            R"({"key":"k","value":"plain text","expires":7})");
  EXPECT_EQ(to_json_line({"k", "\xFF", 0}), R"({"key":"k","value_base64":"/w=="})");
}

}  // namespace
}  // namespace fanfare::cli

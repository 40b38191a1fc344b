#include "mcp/id_scanner.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace awm::mcp {
namespace {

using nlohmann::json;

json id_in(const std::string& text, std::size_t piece = 1) {
  id_scanner scanner;
  for (std::size_t at = 0; at < text.size(); at += piece) scanner.feed(std::string_view(text).substr(at, piece));
  return scanner.id();
}

TEST(id_scanner, finds_the_id_wherever_it_stands_and_however_the_text_is_cut) {
  const std::vector<std::pair<const char*, json>> cases{
      {R"({"jsonrpc":"2.0","id":7,"method":"m","params":{"x":")", 7},
      {R"({"method":"m","params":{"id":1,"a":[{"id":2}],"s":"\"id\":3,{["},"jsonrpc":"2.0","id":"a\"b"})", "a\"b"},
      {R"( { "params" : [1,2,"}"] , "id" : -1.5 , "method" : "id" } )", -1.5},
      {R"({"id":12,"method":"m"})", 12}};
  for (const auto& [text, id] : cases) {
    for (const std::size_t piece : {1U, 3U, 1000U}) EXPECT_EQ(id_in(text, piece), id) << text << " by " << piece;
  }
}

TEST(id_scanner, finds_none_in_what_is_no_request) {
  for (const char* const text :
       {R"({"id":7,"result":{"method":"m"}})", R"({"method":"m","params":{"id":7}})", R"([{"id":7,"method":"m"}])",
        R"({"id":null,"method":"m"})", R"({"id":{},"method":"m"})", R"({"id":[7],"method":"m"})", R"("id")", "   ", "",
        R"({"method":"m","id":7)", R"({"id":nonsense,"method":"m"})", R"({"x":"id","method":"m"})"}) {
    EXPECT_TRUE(id_in(text).is_null()) << text;
  }
  EXPECT_TRUE(id_in(R"({"method":"m","id":")" + std::string(5000, 'x') + "\"}").is_null());
}

TEST(id_scanner, is_done_as_soon_as_it_knows_and_behind_the_message) {
  id_scanner scanner;
  scanner.feed(R"({"id":7,"params":{)");
  EXPECT_FALSE(scanner.is_done());
  scanner.feed(R"(},"method":)");
  EXPECT_TRUE(scanner.is_done());
  scanner.feed(R"("m","id":8})");
  EXPECT_EQ(scanner.id(), 7);
  id_scanner batch;
  batch.feed("[");
  EXPECT_TRUE(batch.is_done());
}

}  // namespace
}  // namespace awm::mcp

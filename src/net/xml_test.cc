#include "net/xml.h"

#include <gtest/gtest.h>

namespace metaflow::net {
namespace {

TEST(Xml, ElementsAndText) {
  const auto root = parse_xml(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x -->\n"
      "<ListBucketResult xmlns=\"http://s3/doc>/\"><IsTruncated>false</IsTruncated><Contents><Key>a&amp;b &#x41;&#65;\n"
      "</Key><Size>1</Size></Contents><s3:Contents><Key><![CDATA[<c>]]></Key></s3:Contents><Empty/></"
      "ListBucketResult>");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->name, "ListBucketResult");
  EXPECT_EQ(root->text_of("IsTruncated"), "false");
  EXPECT_EQ(root->text_of("Contents/Key"), "a&b AA\n");
  EXPECT_EQ(root->text_of("Contents/Nothing"), "");
  EXPECT_EQ(root->text_of("Empty"), "");
  EXPECT_NE(root->find("Empty"), nullptr);
  EXPECT_EQ(root->find("Nothing"), nullptr);
  ASSERT_EQ(root->children.size(), 4U);
  EXPECT_EQ(root->children[2].text_of("Key"), "<c>");
}

TEST(Xml, Damage) {
  for (const char* text :
       {"", "x", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a>&nothing;</a>", "<a>&#xFFFFFFFF;</a>", "<a>&#;</a>",
        "<!DOCTYPE x><a/>", "<a", "<a b='></a>", "<a><![CDATA[</a>", "<a>&amp</a>", "<>"})
    EXPECT_FALSE(parse_xml(text)) << text;
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_xml(deep));
}

TEST(Xml, Escapes) {
  const std::string odd = "a<b>&\"'\n\r\t\xC3\xBC";
  EXPECT_EQ(parse_xml("<a>" + xml_escape(odd) + "</a>")->text, odd);
}

}  // namespace
}  // namespace metaflow::net

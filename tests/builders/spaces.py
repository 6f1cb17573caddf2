"""What `test_extract_command` shares with other tests."""

VIT = "timm:test_vit"

terraform {
  required_providers {
    awscc = {
      source = "hashicorp/awscc"
    }
  }
}

resource "awscc_iot_custom_metric" "batteryPercentage" {
  metric_name  = "batteryPercentage"
  metric_type  = "number"
  display_name = "Battery, percent"
  tags = [
    {
      key   = "unit"
      value = "percent"
    },
  ]
}

resource "awscc_iot_custom_metric" "channels" {
  metric_name = "channels"
  metric_type = "number-list"
}

resource "awscc_iot_custom_metric" "modems" {
  metric_name = "modems"
  metric_type = "string-list"
}

resource "awscc_iot_custom_metric" "peers" {
  metric_name = "peers"
  metric_type = "ip-address-list"
}

resource "awscc_iot_dimension" "AuthTopics" {
  name          = "AuthTopics"
  type          = "TOPIC_FILTER"
  string_values = ["auth/+/$${iot:ClientId}", "device/#"]
  tags = [
    {
      key   = "team"
      value = "iot"
    },
  ]
}

resource "awscc_iot_security_profile" "Models" {
  security_profile_name = "Models"
  behaviors = [
    {
      name   = "OutboundMl"
      metric = "aws:all-bytes-out"
      criteria = {
        consecutive_datapoints_to_alarm = 1
        consecutive_datapoints_to_clear = 1
        ml_detection_config = {
          confidence_level = "HIGH"
        }
      }
    },
  ]
  additional_metrics_to_retain_v2 = [
    {
      metric = "aws:all-bytes-in"
    },
  ]
}

resource "awscc_iot_security_profile" "Nothing" {
  security_profile_name = "Nothing"
}

resource "awscc_iot_security_profile" "Rules_all" {
  security_profile_name        = "Rules:all"
  security_profile_description = "What is \"normal\", 100%%{ of it } for $${things}"
  behaviors = [
    {
      name   = "MaxTcpPorts"
      metric = "aws:num-listening-tcp-ports"
      criteria = {
        comparison_operator = "less-than-equals"
        value = {
          count = "5"
        }
        duration_seconds                = 300
        consecutive_datapoints_to_alarm = 1
        consecutive_datapoints_to_clear = 2
      }
      suppress_alerts = true
    },
    {
      name   = "TcpConnectionCount"
      metric = "aws:num-established-tcp-connections"
      criteria = {
        comparison_operator = "less-than-equals"
        duration_seconds    = 900
        statistical_threshold = {
          statistic = "p90"
        }
      }
    },
    {
      name   = "ListeningTcpPorts"
      metric = "aws:listening-tcp-ports"
      criteria = {
        comparison_operator = "in-port-set"
        value = {
          ports = [443, 80]
        }
      }
      export_metric = true
    },
    {
      name   = "DeniedDestinations"
      metric = "aws:destination-ip-addresses"
      criteria = {
        comparison_operator = "not-in-cidr-set"
        value = {
          cidrs = ["12.8.0.0/16", "15.102.16.0/24"]
        }
      }
    },
    {
      name   = "Battery"
      metric = "batteryPercentage"
      criteria = {
        comparison_operator = "greater-than"
        value = {
          number = 7.5
        }
        consecutive_datapoints_to_alarm = 5
      }
    },
    {
      name   = "Modems"
      metric = "modems"
      criteria = {
        comparison_operator = "in-set"
        value = {
          strings = ["quectel", "sierra"]
        }
      }
    },
    {
      name   = "Channels"
      metric = "channels"
      criteria = {
        comparison_operator = "not-in-set"
        value = {
          numbers = [1, 2.5]
        }
      }
    },
    {
      name   = "CellularBandwidth"
      metric = "aws:message-byte-size"
      metric_dimension = {
        dimension_name = "AuthTopics"
        operator       = "NOT_IN"
      }
      criteria = {
        comparison_operator = "less-than"
        value = {
          count = "128"
        }
      }
    },
  ]
  alert_targets = {
    "SNS" = {
      alert_target_arn = "arn:aws:sns:us-east-1:123456789012:alerts"
      role_arn         = "arn:aws:iam::123456789012:role/alerts"
    }
  }
  additional_metrics_to_retain_v2 = [
    {
      metric = "peers"
    },
    {
      metric = "aws:num-messages-sent"
      metric_dimension = {
        dimension_name = "AuthTopics"
        operator       = "IN"
      }
      export_metric = true
    },
  ]
  metrics_export_config = {
    mqtt_topic = "$aws/rules/export"
    role_arn   = "arn:aws:iam::123456789012:role/export"
  }
  tags = [
    {
      key   = "empty"
      value = ""
    },
    {
      key   = "team"
      value = "iot"
    },
  ]
  target_arns = ["arn:aws:iot:us-east-1:123456789012:all/unregistered-things", "arn:aws:iot:us-east-1:123456789012:thinggroup/gateways"]

  depends_on = [
    awscc_iot_custom_metric.batteryPercentage,
    awscc_iot_custom_metric.channels,
    awscc_iot_custom_metric.modems,
    awscc_iot_custom_metric.peers,
    awscc_iot_dimension.AuthTopics,
  ]
}

//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
)

// mqttClient publishes the reports of one thing by MQTT 3.1.1 with QoS 1. It is no
// library's, as client is not.
type mqttClient struct {
	conn   net.Conn
	reader *bufio.Reader
	buffer []byte
	random *rand.Rand
	packet uint16
	got    int64
}

// Types of packets with their flags, see MQTT 3.1.1, 2.2.
const (
	mqttConnect  = 0x10
	mqttConnAck  = 0x20
	mqttPublish1 = 0x32 // with QoS 1
	mqttPubAck   = 0x40
)

func dialMQTT(addr string, secure *tls.Config, seed uint64, id string) (*mqttClient, error) {
	conn, err := dialConn(addr, secure)
	if err != nil {
		return nil, err
	}
	c := &mqttClient{conn: conn, reader: bufio.NewReaderSize(conn, 256), random: rand.New(rand.NewPCG(seed, 4))}
	body := append([]byte("\x00\x04MQTT\x04\x02\x00\x00"), byte(len(id)>>8), byte(len(id))) // a clean session without keep-alive
	body = append(body, id...)
	if _, err := conn.Write(append(mqttHeader(nil, mqttConnect, len(body)), body...)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	answer, err := c.read(mqttConnAck)
	if err == nil && answer[1] != 0 {
		err = fmt.Errorf("CONNACK with return code %d", answer[1])
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// mqttHeader appends a fixed header.
func mqttHeader(b []byte, kind byte, length int) []byte {
	return binary.AppendUvarint(append(b, kind), uint64(length))
}

// read reads a packet of two bytes that has to be of the type.
func (c *mqttClient) read(kind byte) ([2]byte, error) {
	var packet [4]byte
	if _, err := io.ReadFull(c.reader, packet[:]); err != nil {
		return [2]byte{}, fmt.Errorf("reading the answer: %w", err)
	}
	c.got += int64(len(packet))
	if packet[0] != kind || packet[1] != 2 {
		return [2]byte{}, fmt.Errorf("a packet that begins with % x, want one of type %x", packet, kind)
	}
	return [2]byte(packet[2:]), nil
}

func (c *mqttClient) post(p *payloads, thing, round int) error {
	topic := "$aws/things/" + thingName(thing) + "/defender/metrics/json"
	c.packet = c.packet%65535 + 1
	b := mqttHeader(c.buffer[:0], mqttPublish1, 2+len(topic)+2+p.size(thing, round))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = binary.BigEndian.AppendUint16(b, c.packet)
	c.buffer = p.append(b, thing, round, c.random)
	if _, err := c.conn.Write(c.buffer); err != nil {
		return err
	}
	id, err := c.read(mqttPubAck)
	if err == nil && binary.BigEndian.Uint16(id[:]) != c.packet {
		err = fmt.Errorf("PUBACK of packet %x, want %x", id, c.packet)
	}
	return err
}

func (c *mqttClient) received() int64 { return c.got }

func (c *mqttClient) close() { _ = c.conn.Close() }
